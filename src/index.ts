/**
 * The library, `import { startNode, startLocalCluster } from 'quorate'`: nodes and whole clusters inside a Node.js process.
 * docs/embedding.md explains it.
 */
export type {
  CreateNodeOptions,
  LocalCluster,
  LocalNode,
  QuorateGroupStatus,
  QuorateLimits,
  QuorateLogger,
  QuorateLogLevel,
  QuorateNode,
  QuorateNodeState,
  QuorateNodeStatus,
  QuorateOptions,
  QuorateTimings,
  StartLocalClusterOptions,
  StartNodeOptions,
} from './embedding/api.ts'
export { QuorateError, type QuorateErrorCode } from './embedding/quorate-error.ts'
export { startLocalCluster } from './embedding/start-local-cluster.ts'
export { startNode } from './embedding/start-node.ts'
