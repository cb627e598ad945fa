/**
 * The two gRPC messages that drive etcd, made once (etcdserverpb in rpc.proto; gRPC over HTTP/2, "Length-Prefixed-Message"):
 *
 *   message      := u8 compressed(0) | u32 length, big-endian | protobuf
 *   PutRequest   := field 1 key | field 2 value
 *   RangeRequest := field 1 key            (serializable, field 7, left out: a linearizable read)
 */
import { assert } from '../base/assert.ts'

export const ETCD_PUT_PATH = '/etcdserverpb.KV/Put'
export const ETCD_RANGE_PATH = '/etcdserverpb.KV/Range'

export function putRequest(key: string, value: Uint8Array): Uint8Array {
  return grpcMessage(Buffer.concat([bytesField(1, Buffer.from(key)), bytesField(2, value)]))
}

export function rangeRequest(key: string): Uint8Array {
  return grpcMessage(bytesField(1, Buffer.from(key)))
}

function grpcMessage(body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  assert(number < 16 && bytes.length < 128, 'bytesField: tag and length fit one byte each')
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}
