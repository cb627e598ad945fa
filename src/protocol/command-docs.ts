/**
 * The commands' words, for help, hints, completion, COMMAND DOCS and the list in the docs. One line a command, its fields between ` : `:
 * name, group, since (Redis's version; of Quorate's own commands Quorate's), complexity, arguments, summary.
 *
 * Arguments are written as in Redis's manual: `[optional]`, `<one|of>`, `a|b` inside brackets, capitals for words that stand as
 * they are, `...` for what may be said again; `-` for none.
 */
import { assert, present } from '../base/assert.ts'

export interface CommandDoc {
  readonly group: string
  readonly since: string
  readonly complexity: string
  /** Empty: no arguments. */
  readonly syntax: string
  readonly summary: string
}

const LINES = `
append : string : 2.0.0 : O(1) : key value : Append a value to a string; an absent key counts as empty.
decr : string : 1.0.0 : O(1) : key : Take one from an integer; an absent key counts as 0.
decrby : string : 1.0.0 : O(1) : key decrement : Take a number from an integer; an absent key counts as 0.
get : string : 1.0.0 : O(1) : key : Return a key's string.
getdel : string : 6.2.0 : O(1) : key : Return a key's string and delete the key.
getex : string : 6.2.0 : O(1) : key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] : Return a key's string and change its expiry.
getrange : string : 2.4.0 : O(N) : key start end : Return part of a string.
getset : string : 1.0.0 : O(1) : key value : Return the old string and set a new one.
incr : string : 1.0.0 : O(1) : key : Add one to an integer; an absent key counts as 0.
incrby : string : 1.0.0 : O(1) : key increment : Add a number to an integer; an absent key counts as 0.
incrbyfloat : string : 2.6.0 : O(1) : key increment : Add a floating-point number; an absent key counts as 0.
lcs : string : 7.0.0 : O(N*M) : key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN] : Return the longest common subsequence of two strings.
mget : string : 1.0.0 : O(N) : key [key ...] : Return the strings of several keys.
mset : string : 1.0.1 : O(N) : key value [key value ...] : Set several keys; atomic within each slot.
msetnx : string : 1.0.1 : O(N) : key value [key value ...] : Set several keys of one slot if none of them exists.
psetex : string : 2.6.0 : O(1) : key milliseconds value : Set a key with a time to live in milliseconds.
set : string : 1.0.0 : O(1) : key value [NX|XX|IFEQ comparison-value|IFNE comparison-value] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] : Set a key's string, whatever it held.
setex : string : 2.0.0 : O(1) : key seconds value : Set a key with a time to live in seconds.
setnx : string : 1.0.0 : O(1) : key value : Set a key if it does not exist.
setrange : string : 2.2.0 : O(1) : key offset value : Overwrite part of a string.
strlen : string : 2.2.0 : O(1) : key : Return a string's length in bytes.
substr : string : 1.0.0 : O(N) : key start end : Return part of a string.
bitcount : bitmap : 2.6.0 : O(N) : key [start end [BYTE|BIT]] : Count the bits that are set in a string or in a range of it.
bitfield : bitmap : 3.2.0 : O(1) for each subcommand : key [GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment> ...] : Read, set and increment integers of any width inside a string.
bitfield_ro : bitmap : 6.0.0 : O(1) for each subcommand : key [GET encoding offset ...] : Read integers of any width inside a string.
bitop : bitmap : 2.6.0 : O(N) : <AND|OR|XOR|NOT> destkey key [key ...] : Combine strings bit by bit and store the result.
bitpos : bitmap : 2.8.7 : O(N) : key bit [start [end [BYTE|BIT]]] : Find the first bit that is set, or clear, in a string.
getbit : bitmap : 2.2.0 : O(1) : key offset : Return one bit of a string.
setbit : bitmap : 2.2.0 : O(1) : key offset value : Set or clear one bit of a string.
copy : generic : 6.2.0 : O(N) : source destination [DB destination-db] [REPLACE] : Copy a key's value and expiry to another key.
del : generic : 1.0.0 : O(N) : key [key ...] : Delete keys.
dump : generic : 2.6.0 : O(1) : key : Return a key's value in RDB form.
exists : generic : 1.0.0 : O(N) : key [key ...] : Count which of the keys exist.
expire : generic : 1.0.0 : O(1) : key seconds [NX|XX|GT|LT] : Set a key's time to live in seconds.
expireat : generic : 1.2.0 : O(1) : key unix-time-seconds [NX|XX|GT|LT] : Set when a key expires, in Unix seconds.
expiretime : generic : 7.0.0 : O(1) : key : Return when a key expires, in Unix seconds.
keys : generic : 1.0.0 : O(N) : pattern : Return the keys that match a pattern; looks at every key.
object : generic : 2.2.3 : Depends on subcommand : - : Inspect how a key is stored.
object encoding : generic : 2.2.3 : O(1) : key : Return the encoding that Redis would choose for the value.
object freq : generic : 4.0.0 : O(1) : key : Refused: how often keys are used is not counted.
object help : generic : 6.2.0 : O(1) : - : Return help on the subcommands.
object idletime : generic : 2.2.3 : O(1) : key : Return the seconds since the key was written last.
object refcount : generic : 2.2.3 : O(1) : key : Return the number of references to the value.
persist : generic : 2.2.0 : O(1) : key : Take away a key's expiry.
pexpire : generic : 2.6.0 : O(1) : key milliseconds [NX|XX|GT|LT] : Set a key's time to live in milliseconds.
pexpireat : generic : 2.6.0 : O(1) : key unix-time-milliseconds [NX|XX|GT|LT] : Set when a key expires, in Unix milliseconds.
pexpiretime : generic : 7.0.0 : O(1) : key : Return when a key expires, in Unix milliseconds.
pttl : generic : 2.6.0 : O(1) : key : Return a key's remaining time in milliseconds.
randomkey : generic : 1.0.0 : O(1) : - : Return some key.
rename : generic : 1.0.0 : O(1) : key newkey : Rename a key, replacing what the new name held; both in one slot.
renamenx : generic : 1.0.0 : O(1) : key newkey : Rename a key if the new name is free; both in one slot.
restore : generic : 2.6.0 : O(1) : key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency] : Make a key from its value in RDB form.
scan : generic : 2.8.0 : O(1) : cursor [MATCH pattern] [COUNT count] [TYPE type] : Return the next keys of a walk over all of them.
touch : generic : 3.2.1 : O(N) : key [key ...] : Count which of the keys exist.
ttl : generic : 1.0.0 : O(1) : key : Return a key's remaining time in seconds.
type : generic : 1.0.0 : O(1) : key : Return the type of a key's value.
unlink : generic : 4.0.0 : O(1) : key [key ...] : Delete keys.
wait : generic : 3.0.0 : O(1) : numreplicas timeout : Return at once how many replicas hold this connection's writes on disk for certain: a quorum less one.
discard : transactions : 2.0.0 : O(N) : - : Forget the transaction's commands.
exec : transactions : 1.2.0 : Depends on commands in the transaction : - : Run the transaction's commands, all as one.
multi : transactions : 1.2.0 : O(1) : - : Begin a transaction.
unwatch : transactions : 2.2.0 : O(1) : - : Forget the watched keys.
watch : transactions : 2.2.0 : O(1) for every key : key [key ...] : Let EXEC abort if one of the keys changes before it.
auth : connection : 1.0.0 : O(N) : [username] password : Log in; there is one user, without a password.
client : connection : 2.4.0 : Depends on subcommand : - : Inspect and control client connections.
client getname : connection : 2.6.9 : O(1) : - : Return the connection's name.
client getredir : connection : 6.0.0 : O(1) : - : Return which client gets this one's invalidation messages: none.
client help : connection : 5.0.0 : O(1) : - : Return help on the subcommands.
client id : connection : 5.0.0 : O(1) : - : Return the connection's id.
client info : connection : 6.2.0 : O(1) : - : Describe this connection.
client kill : connection : 2.4.0 : O(N) : <ip:port|ID client-id|TYPE <NORMAL|MASTER|REPLICA|PUBSUB>|USER username|ADDR ip:port|LADDR ip:port|SKIPME <YES|NO> ...> : Close the connections that match.
client list : connection : 2.4.0 : O(N) : [TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]] : Describe the open connections.
client no-evict : connection : 7.0.0 : O(1) : <ON|OFF> : Accepted for compatibility: connections are never evicted.
client no-touch : connection : 7.2.0 : O(1) : <ON|OFF> : Accepted for compatibility: reads do not change when a key was last used.
client pause : connection : 2.9.50 : O(1) : timeout [WRITE|ALL] : Hold all clients' commands, or their writes, for a time.
client reply : connection : 3.2.0 : O(1) : <ON|OFF|SKIP> : Choose whether the server replies.
client setinfo : connection : 7.2.0 : O(1) : <LIB-NAME libname|LIB-VER libver> : Tell the client library's name or version.
client setname : connection : 2.6.9 : O(1) : connection-name : Name the connection.
client tracking : connection : 6.0.0 : O(1) : <ON|OFF> : Turn client-side caching off; it is not offered.
client trackinginfo : connection : 6.2.0 : O(1) : - : Tell that client-side caching is off.
client unblock : connection : 5.0.0 : O(log N) : client-id [TIMEOUT|ERROR] : Accepted for compatibility: no command waits.
client unpause : connection : 6.2.0 : O(N) : - : End CLIENT PAUSE.
echo : connection : 1.0.0 : O(1) : message : Return the message.
hello : connection : 6.0.0 : O(1) : [protover [AUTH username password] [SETNAME clientname]] : Choose the protocol version, and log in.
ping : connection : 1.0.0 : O(1) : [message] : Return PONG, or the message.
quit : connection : 1.0.0 : O(1) : - : Close the connection.
reset : connection : 6.2.0 : O(1) : - : Set the connection back to how it began.
select : connection : 1.0.0 : O(1) : index : Choose a database: there is 0 alone.
psubscribe : pubsub : 2.0.0 : O(N) : pattern [pattern ...] : Receive the messages of channels that match patterns.
publish : pubsub : 2.0.0 : O(N+M) : channel message : Send a message to a channel's subscribers on all nodes.
pubsub : pubsub : 2.8.0 : Depends on subcommand : - : Inspect channels and their subscribers.
pubsub channels : pubsub : 2.8.0 : O(N) : [pattern] : Return the channels that have subscribers on this node.
pubsub help : pubsub : 6.2.0 : O(1) : - : Return help on the subcommands.
pubsub numpat : pubsub : 2.8.0 : O(1) : - : Return the number of patterns with subscribers on this node.
pubsub numsub : pubsub : 2.8.0 : O(N) : [channel [channel ...]] : Return the number of subscribers on this node by channel.
pubsub shardchannels : pubsub : 7.0.0 : O(N) : [pattern] : Return the shard channels that have subscribers on this node.
pubsub shardnumsub : pubsub : 7.0.0 : O(N) : [shardchannel [shardchannel ...]] : Return the number of subscribers on this node by shard channel.
punsubscribe : pubsub : 2.0.0 : O(N+M) : [pattern [pattern ...]] : Receive no more messages of channels that match patterns.
spublish : pubsub : 7.0.0 : O(N) : shardchannel message : Send a message to a shard channel's subscribers.
ssubscribe : pubsub : 7.0.0 : O(N) : shardchannel [shardchannel ...] : Receive the messages of shard channels.
subscribe : pubsub : 2.0.0 : O(N) : channel [channel ...] : Receive the messages of channels.
sunsubscribe : pubsub : 7.0.0 : O(N) : [shardchannel [shardchannel ...]] : Receive no more messages of shard channels.
unsubscribe : pubsub : 2.0.0 : O(N) : [channel [channel ...]] : Receive no more messages of channels.
cluster : cluster : 3.0.0 : Depends on subcommand : - : See the cluster as Redis Cluster would show it.
cluster addslots : cluster : 3.0.0 : O(1) : slot [slot ...] : Refused: the cluster is changed with quorate admin.
cluster addslotsrange : cluster : 7.0.0 : O(1) : start-slot end-slot [start-slot end-slot ...] : Refused: the cluster is changed with quorate admin.
cluster bumpepoch : cluster : 3.0.0 : O(1) : - : Refused: the cluster is changed with quorate admin.
cluster count-failure-reports : cluster : 3.0.0 : O(N) : node-id : Return 0: nodes do not report each other.
cluster countkeysinslot : cluster : 3.0.0 : O(N) : slot : Count the keys of a hash slot, wherever it is.
cluster delslots : cluster : 3.0.0 : O(1) : slot [slot ...] : Refused: the cluster is changed with quorate admin.
cluster delslotsrange : cluster : 7.0.0 : O(1) : start-slot end-slot [start-slot end-slot ...] : Refused: the cluster is changed with quorate admin.
cluster failover : cluster : 3.0.0 : O(1) : [FORCE|TAKEOVER] : Refused: the cluster is changed with quorate admin.
cluster flushslots : cluster : 3.0.0 : O(1) : - : Refused: the cluster is changed with quorate admin.
cluster forget : cluster : 3.0.0 : O(1) : node-id : Refused: the cluster is changed with quorate admin.
cluster getkeysinslot : cluster : 3.0.0 : O(N) : slot count : Return keys of a hash slot, wherever it is.
cluster help : cluster : 5.0.0 : O(1) : - : Return help on the subcommands.
cluster info : cluster : 3.0.0 : O(N) : - : Describe the cluster's state.
cluster keyslot : cluster : 3.0.0 : O(N) : key : Return the hash slot of a key, of 16384.
cluster links : cluster : 7.0.0 : O(1) : - : Return an empty list: there is no cluster bus.
cluster meet : cluster : 3.0.0 : O(1) : ip port [cluster-bus-port] : Refused: the cluster is changed with quorate admin.
cluster myid : cluster : 3.0.0 : O(1) : - : Return the node's id.
cluster nodes : cluster : 3.0.0 : O(N) : - : Return the nodes with their roles and slots.
cluster replicas : cluster : 5.0.0 : O(N) : node-id : Return the nodes that CLUSTER NODES shows as a master's replicas.
cluster replicate : cluster : 3.0.0 : O(1) : node-id : Refused: the cluster is changed with quorate admin.
cluster reset : cluster : 3.0.0 : O(1) : [HARD|SOFT] : Refused: the cluster is changed with quorate admin.
cluster saveconfig : cluster : 3.0.0 : O(1) : - : Refused: the cluster is changed with quorate admin.
cluster set-config-epoch : cluster : 3.0.0 : O(1) : config-epoch : Refused: the cluster is changed with quorate admin.
cluster setslot : cluster : 3.0.0 : O(1) : slot <IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE> : Refused: the cluster is changed with quorate admin.
cluster shards : cluster : 7.0.0 : O(N) : - : Return the groups with their slots, leaders and other members.
cluster slaves : cluster : 3.0.0 : O(N) : node-id : Return what CLUSTER REPLICAS returns.
cluster slots : cluster : 3.0.0 : O(N) : - : Return ranges of slots with their leaders and replicas.
readonly : cluster : 3.0.0 : O(1) : - : Let this node's replicas answer the connection's reads, linearizably.
readwrite : cluster : 3.0.0 : O(1) : - : Let leaders answer the connection's reads again.
command : server : 2.8.13 : O(N) : - : Describe all commands.
command count : server : 2.8.13 : O(1) : - : Return the number of commands.
command docs : server : 7.0.0 : O(N) : [command-name [command-name ...]] : Return commands' documentation.
command getkeys : server : 2.8.13 : O(N) : command [arg ...] : Return the keys in a command line.
command getkeysandflags : server : 7.0.0 : O(N) : command [arg ...] : Return the keys in a command line, and what is done with them.
command help : server : 5.0.0 : O(1) : - : Return help on the subcommands.
command info : server : 2.8.13 : O(N) : [command-name [command-name ...]] : Describe commands.
command list : server : 7.0.0 : O(N) : [FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>] : Return the commands' names.
config : server : 2.0.0 : Depends on subcommand : - : Read and change the node's settings.
config get : server : 2.0.0 : O(N) : parameter [parameter ...] : Return settings by name or pattern.
config help : server : 5.0.0 : O(1) : - : Return help on the subcommands.
config resetstat : server : 2.0.0 : O(1) : - : Set the counters of INFO to zero.
config rewrite : server : 2.8.0 : O(1) : - : Refused: settings come from the command line.
config set : server : 2.0.0 : O(N) : parameter value [parameter value ...] : Change settings of this node until it restarts.
dbsize : server : 1.0.0 : O(1) : - : Return the number of keys.
flushall : server : 1.0.0 : O(N) : [ASYNC|SYNC] : Delete all keys, slot by slot.
flushdb : server : 1.0.0 : O(N) : [ASYNC|SYNC] : Delete all keys, slot by slot: there is one database.
info : server : 1.0.0 : O(1) : [section [section ...]] : Describe the node: versions, clients, counters, groups.
latency : server : 2.8.13 : Depends on subcommand : - : Show what took long.
latency doctor : server : 2.8.13 : O(1) : - : Describe in words what took long.
latency graph : server : 2.8.13 : O(1) : event : Draw an event's history.
latency help : server : 2.8.13 : O(1) : - : Return help on the subcommands.
latency histogram : server : 7.0.0 : O(N) : [command [command ...]] : Return how long commands took, by command.
latency history : server : 2.8.13 : O(1) : event : Return an event's samples.
latency latest : server : 2.8.13 : O(1) : - : Return each event's latest sample.
latency reset : server : 2.8.13 : O(1) : [event [event ...]] : Forget events' samples.
memory : server : 4.0.0 : Depends on subcommand : - : Show memory in use.
memory doctor : server : 4.0.0 : O(1) : - : Describe in words how memory is used.
memory help : server : 4.0.0 : O(1) : - : Return help on the subcommands.
memory malloc-stats : server : 4.0.0 : O(N) : - : Return the allocator's figures.
memory purge : server : 4.0.0 : O(N) : - : Ask the allocator to give memory back.
memory stats : server : 4.0.0 : O(1) : - : Return figures on memory in use.
memory usage : server : 4.0.0 : O(N) : key [SAMPLES count] : Return how many bytes a key takes.
slowlog : server : 2.2.12 : Depends on subcommand : - : Show the slowest commands.
slowlog get : server : 2.2.12 : O(N) : [count] : Return the latest slow commands.
slowlog help : server : 6.2.0 : O(1) : - : Return help on the subcommands.
slowlog len : server : 2.2.12 : O(1) : - : Return the number of slow commands kept.
slowlog reset : server : 2.2.12 : O(N) : - : Forget the slow commands.
time : server : 2.6.0 : O(1) : - : Return the node's clock.
function : scripting : 7.0.0 : Depends on subcommand : - : There are no functions; FLUSH finds nothing to do.
function flush : scripting : 7.0.0 : O(N) : [ASYNC|SYNC] : Delete all functions: there are none.
function help : scripting : 7.0.0 : O(1) : - : Return help on the subcommands.
function list : scripting : 7.0.0 : O(N) : [LIBRARYNAME library-name-pattern] [WITHCODE] : List the functions: there are none.
kv.call : quorate : 0.1.0 : O(1) : slot-table-version session sequence lowest-unanswered retry-until-ms command [argument ...] : Run a command of one slot under a session from KV.SESSION, once however often it is sent; what the TypeScript client speaks.
kv.cas : quorate : 0.1.0 : O(1) : key expected new : Set a key if it holds the expected string; NX as expected: if it is absent.
kv.master : quorate : 0.1.0 : O(N) : <GETKEYGROUP key|RECONFIG ranges group|GETRECONFIG id|SLOTS|call [json]> : Run a call of quorate admin by its name, its arguments as a JSON object; the answer is JSON.
kv.read : quorate : 0.1.0 : O(1) : <linearizable|lease|stale> : Choose the read level of the connection's reads.
kv.session : quorate : 0.1.0 : O(1) : - : Lend a session for KV.CALL: its number, for how many milliseconds, and the node's clock.
kv.status : quorate : 0.1.0 : O(1) : - : Describe the node, its groups and their leaders, as JSON.
kv.table : quorate : 0.1.0 : O(N) : - : Return the slot table with its version, the groups' leaders and the nodes' addresses, as JSON.
`

const DOCS: ReadonlyMap<string, CommandDoc> = new Map(LINES.trim().split('\n').map(parseLine))

function parseLine(line: string): [name: string, doc: CommandDoc] {
  const fields = line.split(' : ')
  assert(fields.length === 6, `command docs: '${line}' has ${fields.length} fields`)
  const [name, group, since, complexity, syntax, summary] = fields
  return [name.replace(' ', '|'), { group, since, complexity, syntax: syntax === '-' ? '' : syntax, summary }]
}

export function commandDoc(name: string): CommandDoc {
  return present(DOCS.get(name), `command-docs.ts has no line for ${name}`)
}

export function documentedCommands(): readonly string[] {
  return [...DOCS.keys()]
}
