import {expect} from 'chai'
import {Readable} from 'node:stream'

import type {RemoteContext} from '../../../../src/registry/remote/context.js'
import type {HttpRequest, HttpResponse} from '../../../../src/registry/transport/http.js'

import {UploadSession} from '../../../../src/registry/remote/upload-session.js'

const url = new URL('https://reg.example/v2/a/b/blobs/uploads/')

function answer(status: number, location?: string): HttpResponse {
  return {attempts: 1, body: Readable.from([]), headers: location === undefined ? {} : {location}, status, url}
}

/** An upload that was begun at `/old`, and what the registry is asked then. */
function session(answers: readonly HttpResponse[]): {asked: string[]; session: UploadSession} {
  const asked: string[] = []
  const rest = [...answers]
  const context = {
    name: 'a/b',
    async send({method, url: to}: HttpRequest) {
      asked.push(`${method} ${to.pathname}`)
      const next = rest.shift()
      if (!next) throw new Error('one request too many')
      return next
    },
  }
  return {asked, session: new UploadSession(context as unknown as RemoteContext, answer(202, '/old'))}
}

describe('giving up an upload', () => {
  it('takes one request', async () => {
    for (const status of [204, 202, 404, 405, 500]) {
      const {asked, session: upload} = session([answer(status)])
      await upload.cancel()
      expect(asked).to.deep.equal(['DELETE /old'])
    }
  })

  it('asks where the upload stands when the registry has taken bytes since', async () => {
    const {asked, session: upload} = session([answer(416), answer(204, '/new'), answer(204)])
    await upload.cancel()
    expect(asked).to.deep.equal(['DELETE /old', 'GET /old', 'DELETE /new'])
  })

  it('never fails', async () => {
    await session([]).session.cancel()
    await session([answer(416)]).session.cancel()
    await session([answer(416), answer(204, 'http://reg.example/plain')]).session.cancel()
  })
})
