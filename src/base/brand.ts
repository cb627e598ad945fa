/**
 * Branded numbers: a Term is not a LogIndex. All are safe integers >= 0; on disk and on the wire they are unsigned,
 * 64 bits wide for Term and LogIndex, 32 bits for the others.
 */
declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

export type Term = Branded<'Term'>
export type LogIndex = Branded<'LogIndex'>
export type SlotId = Branded<'SlotId'>
export type GroupId = Branded<'GroupId'>
export type NodeId = Branded<'NodeId'>
export type ReplicaId = Branded<'ReplicaId'>

export const asTerm = (value: number): Term => value as Term
export const asLogIndex = (value: number): LogIndex => value as LogIndex
export const asSlotId = (value: number): SlotId => value as SlotId
export const asGroupId = (value: number): GroupId => value as GroupId
export const asNodeId = (value: number): NodeId => value as NodeId
export const asReplicaId = (value: number): ReplicaId => value as ReplicaId
