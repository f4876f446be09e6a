import {MemoryHost} from '../../src/registry/memory/repository.js'
import {describeRepositoryContract} from './repository-contract.js'

describeRepositoryContract('memory', async () => {
  const host = new MemoryHost()
  return {repository: host.repository('org/one'), sibling: async (name) => host.repository(name)}
})
