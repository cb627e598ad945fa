// A Quorate cluster of three nodes inside this very process, used through an ordinary Redis client.
//
//   npm install quorate ioredis
//   node embedded.mjs
import { Redis } from 'ioredis'
import { startLocalCluster } from 'quorate'

// Real nodes on free ports, with durable data in a temporary directory that goes away with the cluster.
const cluster = await startLocalCluster({ nodes: 3, groups: 2 })
console.log(`started: ${cluster.nodes.length} nodes, group 1 is led by node ${cluster.leader(1)?.id}`)

const [doomed, survivor] = cluster.nodes
const client = new Redis(survivor.url)
try {
  await client.set('greeting', 'hello')
  console.log('get:', await client.get('greeting'))

  // The way of `kill -9`: nothing is said, nothing is synced. What was answered OK is on the disks of a majority.
  await doomed.kill()
  console.log('killed node', doomed.id)

  await client.append('greeting', ', world')
  console.log('get:', await client.get('greeting'))
  console.log('group 1 has another leader:', cluster.leader(1)?.id !== doomed.id)

  // It comes back on its old data and catches up by itself.
  await doomed.start()
  const other = new Redis(doomed.url)
  console.log(`node ${doomed.id} says:`, await other.get('greeting'))
  other.disconnect()
} finally {
  client.disconnect()
  await cluster.close()
}
console.log('closed')
