import {memoryRepository} from '../../src/registry/memory/repository.js'
import {describeStoreContract} from './store-contract.js'

describeStoreContract('memory', async () => ({repository: memoryRepository()}))
