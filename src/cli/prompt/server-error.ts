/**
 * An error reply in the form that every failure of the program has: a code, a message, and what mends it. The mend is given where
 * the reply alone leaves a reader wondering.
 */
export interface ServerError {
  /** The first word of the reply, such as WRONGTYPE. */
  readonly code: string
  readonly message: string
  readonly mend?: string
}

const MENDS: Readonly<Record<string, string>> = {
  BUSY: 'nothing was done: send it again a little later',
  CLUSTERDOWN: 'nothing was done: see with KV.STATUS which nodes are up, start one, and send it again',
  CROSSSLOT: 'give keys that belong together the same {hash tag}, or send one command for each',
  DISKFULL: 'nothing was done: free space on the disk, or delete keys',
  EXECABORT: 'nothing of the transaction was run: begin again with MULTI',
  NOAUTH: 'log in with AUTH',
  NOREPLICAS: 'nothing was done: start the missing nodes, and send it again',
  OOM: 'delete keys, or raise maxmemory with CONFIG SET',
  TRYAGAIN: 'the slot is on its way to another group: send it again a little later',
  UNCERTAIN: 'it may or may not have happened: look before you send it again',
  WRONGTYPE: 'TYPE says what the key holds',
}

const MENDS_BY_START: readonly (readonly [start: string, mend: string])[] = [
  ['unknown command', '`help` lists the commands'],
  ['unknown subcommand', '`help COMMAND` lists its subcommands'],
  ['wrong number of arguments', '`help COMMAND` shows its arguments'],
]

/** `text` is the reply without its `-`. */
export function serverError(text: string): ServerError {
  const split = /^([A-Z][A-Z0-9]*) (.*)$/s.exec(text)
  const [code, message] = split === null ? ['ERR', text] : [split[1], split[2]]
  const mend = MENDS[code] ?? MENDS_BY_START.find(([start]) => message.startsWith(start))?.[1]
  return mend === undefined ? { code, message } : { code, message, mend }
}
