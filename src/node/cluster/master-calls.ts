/**
 * Writes on their way to the active master, wherever it is. A call is sent again only where it is certain that nothing came of it (`not-active`, `unavailable`
 * before it was taken, an unreachable node), until its deadline. What may have happened is `uncertain`, and never repeated here.
 */
import type { NodeId } from '../../base/brand.ts'
import { decodeElectionNode } from '../../master/registrations.ts'
import type { ShardMaster } from '../../master/shard-master.ts'
import { MASTER_PREFIX, MASTERS } from '../../master/tree-layout.ts'
import { TreeReads } from '../../master/tree-reads.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { AdminArguments, AdminDone } from '../../ports/cluster-admin.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import { CallArguments, checkArguments } from './call-arguments.ts'
import { type CallError, decodeReply, decodeRequest, encodeReply, encodeRequest } from './call-message.ts'
import { MASTER_WRITES } from './master-writes.ts'

/** A master that dies is followed once its session is over (NodeTimings.masterSessionMs), and the next has read the tree. */
export const WRITE_DEADLINE_MS = 10_000
const ASK_AGAIN_MS = 50

export interface MasterCallsPorts {
  readonly self: NodeId
  readonly clock: Clock
  readonly calls: NodeCalls
  /** This node's session with the tree. */
  store(): MetadataStore | null
  /** This node's own, where it is a master. */
  master(): ShardMaster | null
}

export class MasterCalls {
  readonly #ports: MasterCallsPorts

  constructor(ports: MasterCallsPorts) {
    this.#ports = ports
    ports.calls.serve(CALL_METHODS.master, (_from, body, answer) => {
      this.#onCall(body, (error, value) => answer(encodeReply(error, value)))
    })
  }

  /** `name` is in MASTER_WRITES, and the arguments are checked. */
  write(name: string, args: AdminArguments, done: AdminDone): void {
    new PendingWrite(this.#ports, name, args, done).start()
  }

  /** The node that the tree names; null: none, or the tree is not to be read now. */
  findActive(done: (node: NodeId | null) => void): void {
    findActive(this.#ports, done)
  }

  #onCall(body: Uint8Array, done: (error: CallError | null, answer: unknown) => void): void {
    const request = decodeRequest(body)
    const write = request === null ? undefined : MASTER_WRITES.get(request.call)
    if (request === null || write === undefined) {
      const message = `this node knows no call ${(request?.call ?? '').slice(0, 100)} of masters`
      return done({ code: 'unknown-call', message, mend: 'run the same version on all nodes' }, null)
    }
    const checked = checkArguments(request.call, write.schema, request.args)
    if (!(checked instanceof CallArguments)) return done(checked, null)
    const problem = write.check?.(checked) ?? null
    if (problem !== null) return done(problem, null)
    const master = this.#ports.master()
    if (master === null) return done(notMaster(this.#ports.self), null)
    write.run(master, checked, done)
  }
}

function notMaster(self: NodeId): CallError {
  return { code: 'not-active', message: `node ${self} is no master`, mend: 'ask the active one', activeMaster: null }
}

function findActive({ store, clock }: MasterCallsPorts, done: (node: NodeId | null) => void): void {
  const session = store()
  if (session === null || session.state !== 'connected') return clock.defer(() => done(null))
  const reads = new TreeReads(session)
  let active: NodeId | null = null
  reads.end(() => done(active))
  reads.sync(() => {
    reads.children(MASTERS, (names) => {
      const first = names.find((name) => name.startsWith(MASTER_PREFIX))
      if (first === undefined) return
      reads.find(`${MASTERS}/${first}`, decodeElectionNode, (node) => {
        active = node?.value ?? null
      })
    })
  })
}

class PendingWrite {
  readonly #ports: MasterCallsPorts
  readonly #name: string
  readonly #args: AdminArguments
  readonly #deadlineMs: number
  #done: AdminDone | null
  #deadline: Timer | null = null
  #timer: Timer | null = null
  /** Something is with a master, and has no answer yet. */
  #isOut = false
  #lastProblem = 'no master is active'

  constructor(ports: MasterCallsPorts, name: string, args: AdminArguments, done: AdminDone) {
    this.#ports = ports
    this.#name = name
    this.#args = args
    this.#done = done
    this.#deadlineMs = ports.clock.monotonicMs() + WRITE_DEADLINE_MS
  }

  start(): void {
    this.#deadline = this.#ports.clock.setTimer(WRITE_DEADLINE_MS, () => this.#late())
    // Its own first: no way is shorter.
    if (this.#ports.master()?.isActive === true) this.#try(this.#ports.self)
    else this.#find()
  }

  #find(): void {
    findActive(this.#ports, (node) => {
      if (this.#done === null) return
      if (node === null) this.#later()
      else this.#try(node)
    })
  }

  #try(node: NodeId): void {
    const { calls, clock } = this.#ports
    const leftMs = this.#deadlineMs - clock.monotonicMs()
    if (leftMs <= 0) return this.#late()
    this.#isOut = true
    calls.call(node, CALL_METHODS.master, encodeRequest(this.#name, this.#args), leftMs, (outcome) => {
      if (this.#done === null) return
      if (outcome.kind === 'unknown')
        return this.#end(this.#uncertain(`node ${node} took it, and did not answer`), null)
      this.#isOut = false
      if (outcome.kind === 'unreachable') {
        this.#lastProblem = `node ${node}, the active master, cannot be reached`
        return this.#later()
      }
      const reply = decodeReply(outcome.reply)
      if (reply === null) return this.#end(this.#uncertain(`node ${node} gave an answer that does not read`), null)
      const { error, answer } = reply
      if (error === null) return this.#end(null, answer)
      if (error.code !== 'not-active') return this.#end(error, null)
      this.#lastProblem = error.message
      this.#later()
    })
  }

  #later(): void {
    this.#timer = this.#ports.clock.setTimer(ASK_AGAIN_MS, () => {
      if (this.#done !== null) this.#find()
    })
  }

  #late(): void {
    if (this.#isOut) return this.#end(this.#uncertain(`no answer within ${WRITE_DEADLINE_MS / 1000} s`), null)
    const message = `${this.#name}: nothing was done within ${WRITE_DEADLINE_MS / 1000} s: ${this.#lastProblem}`
    this.#end({ code: 'unavailable', message, mend: 'try again; if it lasts, see that most masters run' }, null)
  }

  #uncertain(why: string): CallError {
    const message = `${this.#name}: ${why}: it may have been done`
    return { code: 'uncertain', message, mend: 'look before asking again: `quorate admin status`' }
  }

  #end(error: CallError | null, answer: unknown): void {
    const done = this.#done
    this.#done = null
    this.#deadline?.cancel()
    this.#timer?.cancel()
    if (error === null) return done?.(null, answer)
    const { code, message, mend } = error
    done?.({ code, message, mend }, null)
  }
}
