import {expect} from 'chai'
import {mkdirSync, readdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenCopy, scratchDir} from '../helpers/hooks.js'

interface Document {
  readonly error?: {readonly code: string; readonly message: string}
  readonly exitCode: number
  readonly verdict: string
}

describe('a file beside the result that cannot be written', function () {
  this.timeout(60_000)

  let fake: FakeRegistry
  let store: string

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    store = `oci://${fake.host}/backups/main`
    expect((await cli(['copy', `oci-layout:${goldenCopy('plaintext')}`, store])).status).to.equal(0)
  })

  afterEach(async () => fake.stop())

  /** A folder that is removed as soon as the registry is asked for its tags. */
  function shortLived(): string {
    const folder = join(scratchDir('beside'), 'folder')
    mkdirSync(folder)
    fake.fail({
      mangle(body) {
        rmSync(folder, {force: true, recursive: true})
        return body
      },
      path: /tags\/list/,
      times: 1,
    })
    return folder
  }

  const commands = (file: string, ledger: string) => [
    ['gc-check', store, '--metrics', file],
    ['verify', store, '--tier', 'digest', '--result', file],
    ['verify', store, '--tier', 'digest', '--resume', ledger, '--metrics', file],
  ]

  it('is told before the work where that can be known', async () => {
    const folder = scratchDir('known')
    const file = join(folder, 'not there', 'file')
    fake.requests.length = 0
    const mirror = ['mirror', store, `oci-layout:${join(folder, 'm')}`, '--ledger', join(folder, 'ledger')]
    for (const args of [...commands(file, join(folder, 'ledger')), [...mirror, '--metrics', file]]) {
      const {status, stderr, stdout} = await cli(args)
      expect([status, stdout], args.join(' ')).to.deep.equal([64, ''])
      expect(stderr).to.contain(`${file}: its folder does not exist`)
    }

    expect(fake.requests).to.have.length(0)
    expect(readdirSync(folder)).to.deep.equal([])
  })

  it('takes nothing away from the result, which is told before the failure', async () => {
    for (const number of [0, 1, 2]) {
      const args = commands(join(shortLived(), 'file'), join(scratchDir('ledger'), 'ledger'))[number]!
      const people = await cli(args)
      expect(people.status, args.join(' ')).to.equal(64)
      expect(people.stdout, args.join(' ')).to.match(/^verdict +clean$/m)
      expect(people.stderr).to.contain('its folder does not exist')
    }
  })

  it('does not hide that damage was found', async () => {
    const tag = [...fake.repository('backups/main').tags.keys()].find((name) => name.startsWith('packfiles-'))
    expect((await cli(['rm', store, 'packfile', tag!.slice('packfiles-'.length), '--yes'])).status).to.equal(0)
    const people = await cli(['gc-check', store, '--metrics', join(shortLived(), 'file')])
    expect(people.status).to.equal(65)
    expect(people.stdout).to.match(/^verdict +damaged/m)
    expect(people.stderr).to.contain('its folder does not exist')
    const machine = await cli(['gc-check', store, '--json', '--metrics', join(shortLived(), 'file')])
    const {error, exitCode, verdict} = machine.json<Document>()
    expect([verdict, error?.code, exitCode, machine.status]).to.deep.equal(['damaged', 'INVALID_ARGUMENT', 65, 65])
  })
})
