import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {buffer} from 'node:stream/consumers'

import {anonymousCredentials} from '../../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../../src/registry/open.js'
import {TestServer} from '../../../helpers/http-server.js'
import {blobOf} from '../../../helpers/registry-objects.js'

const BYTES = randomBytes(4 * 1024 * 1024)
const BLOB = blobOf(BYTES)

/** Numbers of the connections that four ranged reads took, in their order. */
async function sockets(serveRanges: boolean): Promise<number[]> {
  const server = await TestServer.start(({headers}, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
    if (!match || !serveRanges) {
      response.writeHead(200, {'content-length': BYTES.length}).end(BYTES)
      return
    }

    const [first, last] = [Number(match[1]), Number(match[2])]
    response
      .writeHead(206, {
        'content-length': last - first + 1,
        'content-range': `bytes ${first}-${last}/${BYTES.length}`,
      })
      .end(BYTES.subarray(first, last + 1))
  })
  const repository = await openRepository(`oci://127.0.0.1:${server.port}/org/store`, {
    credentials: anonymousCredentials,
  })
  for (const offset of [0, 1000, 2_000_000, 3_000_000]) {
    const range = {length: 500_000, offset}
    const got = await buffer(await repository.blobs.fetch(BLOB, {range}))
    expect(got.equals(BYTES.subarray(offset, offset + range.length))).to.equal(true)
  }

  await repository.close()
  await server.close()
  return server.requests.map(({socket}) => socket)
}

describe('ranges of a blob', () => {
  it('use one connection for all', async () => {
    expect(await sockets(true)).to.deep.equal([1, 1, 1, 1])
  })

  it('drop a connection rather than read the rest of a blob', async () => {
    expect(new Set(await sockets(false))).to.have.property('size', 4)
  })
})
