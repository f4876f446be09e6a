import {join} from 'node:path'

import {openLayout} from '../../src/registry/layout/open-layout.js'
import {scratchDir} from '../helpers/hooks.js'
import {describeRepositoryContract} from './repository-contract.js'

describeRepositoryContract('image layout', async () => {
  const root = scratchDir('layout')
  return {repository: await openLayout(join(root, 'store'), {create: true, durable: false})}
})
