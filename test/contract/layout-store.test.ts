import {openLayout} from '../../src/registry/layout/open-layout.js'
import {scratchDir} from '../helpers/hooks.js'
import {describeStoreContract} from './store-contract.js'

describeStoreContract('layout', async () => ({
  repository: await openLayout(scratchDir('store'), {create: true, durable: false}),
}))
