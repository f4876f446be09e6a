import {expect} from 'chai'
import {once} from 'node:events'
import http, {type IncomingMessage} from 'node:http'

import {type RunningServer, startServer} from '../../../src/server/index.js'
import {scratchDir} from '../../helpers/hooks.js'

describe('requests of odd clients', () => {
  let server: RunningServer

  beforeEach(async () => {
    server = await startServer({durable: false, listen: '127.0.0.1:0', root: scratchDir('served')})
  })

  afterEach(async () => server.close())

  /** @returns nothing when the connection was closed instead of an answer */
  async function ask(method: string, path: string, body?: Buffer): Promise<IncomingMessage | undefined> {
    const {port} = server.address
    const request = http.request({agent: false, host: '127.0.0.1', method, path, port})
    request.end(body)
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.resume()
      return response
    } catch {
      return undefined
    }
  }

  it('are answered when they name the whole address', async () => {
    const response = await ask('GET', 'http://registry.example:5000/v2/?x')
    expect(response?.statusCode).to.equal(200)
  })

  it('for an upload that ends meanwhile are told so', async () => {
    const statuses: (number | undefined)[] = []
    for (let round = 0; round < 10; round++) {
      const begun = await ask('POST', '/v2/store/blobs/uploads/')
      const location = String(begun?.headers.location)
      const chunk = Buffer.alloc(1_000_000)
      const answers = await Promise.all([
        ask('PATCH', location, chunk),
        ask('PATCH', location, chunk),
        ask('PATCH', location, chunk),
        ask('DELETE', location),
        ask('PATCH', location, chunk),
      ])
      statuses.push(...answers.map((answer) => answer?.statusCode))
    }

    expect(statuses).to.include(204)
    // What another request has taken over is broken off, and no failure of the server's own.
    expect(statuses.filter((status) => (status ?? 0) >= 500)).to.deep.equal([])
  })
})
