import {expect} from 'chai'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {MirrorLedger, mirrorStore} from '../../../src/transfer/index.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {contentsOf, expectWhole} from '../../helpers/store-shape.js'
import {storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const source = await storeWithPackfiles(2)

/** Tags that a ledger knows of. */
function known(path: string): string[] {
  const events = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as {event: string; tag?: string})
  return [...new Set(events.flatMap(({event, tag}) => (event === 'object' && tag !== undefined ? [tag] : [])))].sort()
}

describe('mirror, killed at every request', () => {
  it('leaves a sound target, and in the end a ledger that knows everything', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath({host}, point) {
          const target = host.repository('target')
          if (Object.keys(await contentsOf(target)).length > 0) await expectWhole(target, point)
        },
        begin: async () => ({host: new MemoryHost(), path: join(scratchDir('ledger'), 'mirror.jsonl')}),
        contents: async ({host, path}) => ({ledger: known(path), target: await contentsOf(host.repository('target'))}),
        async work({host, path}, life) {
          const ledger = await MirrorLedger.open(path, TEST_CLOCK)
          try {
            const target = mortalRepository(host.repository('target'), life)
            const mirror = mirrorStore(mortalRepository(source.repository, life), target, ledger, {clock: TEST_CLOCK})
            for await (const event of mirror) if ('failure' in event) throw new Error(event.failure?.message)
            expect(mirror.summary.complete).to.equal(true)
          } finally {
            await ledger.close()
          }
        },
      },
      {deaths: ['before']},
    )
    expect(tried).to.be.greaterThan(20)
  })
})
