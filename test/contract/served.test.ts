import {expect} from 'chai'
import {join} from 'node:path'

import {anonymousCredentials, standardCredentials} from '../../src/registry/auth/credentials.js'
import {openRepository} from '../../src/registry/open.js'
import {MemoryRoot, type ServedRequest, type ServerOptions, startServer, UserTable} from '../../src/server/index.js'
import {scratchDir} from '../helpers/hooks.js'
import {describeRepositoryContract} from './repository-contract.js'
import {describeStoreContract} from './store-contract.js'
import {type ContractSubject} from './subject.js'

const users = new UserTable(new Map([['ada', 'a-password']]))

/** Our own server in its shapes, read and written by our own client. */
const KINDS: Readonly<Record<string, () => ServerOptions>> = {
  'layouts in a folder': () => ({durable: false, root: scratchDir('served')}),
  'layouts in a folder, for basic logins': () => ({
    auth: {kind: 'basic', users},
    durable: false,
    root: join(scratchDir('served'), 'made'),
  }),
  'layouts in a folder, for tokens': () => ({
    auth: {kind: 'bearer', users},
    durable: false,
    root: scratchDir('served'),
  }),
  memory: () => ({root: new MemoryRoot()}),
}

async function serve(options: ServerOptions): Promise<ContractSubject> {
  const failures: ServedRequest[] = []
  const server = await startServer({
    ...options,
    listen: '127.0.0.1:0',
    onRequest(request) {
      if (request.error !== undefined) failures.push(request)
    },
  })
  const credentials = options.auth
    ? standardCredentials({env: {}, password: 'a-password', username: 'ada'})
    : anonymousCredentials
  const open = async (path: string) =>
    openRepository(`oci://127.0.0.1:${server.address.port}/${path}`, {credentials, retry: {attempts: 1}})
  return {
    async close() {
      await server.close()
      // What a client breaks off is no failure of the server: before the answer, or in its middle.
      expect(failures.filter(({error, status}) => status !== undefined && !isBrokenOff(error))).to.deep.equal([])
    },
    repository: await open('org/one'),
    sibling: open,
  }
}

function isBrokenOff(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
}

for (const [name, options] of Object.entries(KINDS)) {
  describeRepositoryContract(`served: ${name}`, async () => serve(options()))
  describeStoreContract(`served: ${name}`, async () => serve(options()))
}
