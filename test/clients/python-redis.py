"""Stories for Debian's python3-redis against a cluster: python-redis.py PORT OTHER_PORT. Prints one line a story."""
import sys
import time

import redis

port, other_port = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port)
text = redis.Redis(port=port, decode_responses=True, client_name="python")
other = redis.Redis(port=other_port, decode_responses=True)


def story(name, holds):
    print(name, "ok" if holds else "FAILED", flush=True)
    if not holds:
        sys.exit(1)


every = bytes(range(256))
story("bytes", client.set("{py}bytes", every) and client.get("{py}bytes") == every)
story("info", text.info()["redis_version"] == "7.0.15")
story("name", text.client_getname() == "python" and any(c["name"] == "python" for c in text.client_list()))
story("expiry", text.set("{py}e", "x", ex=100) and text.ttl("{py}e") == 100 and text.expire("{py}e", 50, gt=True) == 0)
story("missing", text.get("{py}none") is None)

pipe = text.pipeline(transaction=False)
for i in range(500):
    pipe.set(f"py-{i}", i)
for i in range(500):
    pipe.get(f"py-{i}")
story("pipeline", pipe.execute()[500:] == [str(i) for i in range(500)])

pipe = text.pipeline(transaction=True)
story("transaction", pipe.set("{py}n", 5).incr("{py}n").get("{py}n").execute() == [True, 6, "6"])

try:
    with text.pipeline() as pipe:
        pipe.watch("{py}w")
        other.set("{py}w", "changed")
        pipe.multi()
        pipe.set("{py}w", "mine")
        pipe.execute()
    story("watch", False)
except redis.WatchError:
    story("watch", other.get("{py}w") == "changed")

story("scan", sorted(text.scan_iter("py-*", count=50)) == sorted(f"py-{i}" for i in range(500)))
story("keys", len(text.keys("py-*")) == 500 and text.dbsize() >= 500)
story("bits", client.setbit("{py}b", 7, 1) == 0 and client.bitcount("{py}b") == 1)
story("floats", text.set("{py}f", "10.5") and text.incrbyfloat("{py}f", 0.1) == 10.6)
story("rename", text.rename("{py}f", "{py}g") and text.get("{py}g") == "10.6" and not text.exists("{py}f"))
story("dump", client.restore("{py}copy", 0, client.dump("{py}g")) and text.get("{py}copy") == "10.6")
story("config", text.config_get("databases") == {"databases": "1"})

listener = other.pubsub()
listener.subscribe("py-news")
listener.psubscribe("py:*")
confirmed = [listener.get_message(timeout=5) for _ in range(2)]
text.publish("py-news", "one")
text.publish("py:sports", "two")
messages = [listener.get_message(timeout=5) for _ in range(2)]
story("subscribed", [m["type"] for m in confirmed] == ["subscribe", "psubscribe"])
story("messages", [(m["channel"], m["data"]) for m in messages] == [("py-news", "one"), ("py:sports", "two")])
listener.close()

try:
    text.execute_command("LPUSH", "{py}l", "x")
    story("unknown", False)
except redis.ResponseError as error:
    story("unknown", str(error).startswith("unknown command 'LPUSH', with args beginning with: "))

started = time.monotonic()
story("lock", bool(text.set("{py}lock", "me", nx=True, px=200)) and text.set("{py}lock", "you", nx=True) is None)
while not text.set("{py}lock", "you", nx=True):
    if time.monotonic() - started > 10:
        story("lock expires", False)
story("lock expires", time.monotonic() - started >= 0.15)
