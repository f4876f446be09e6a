import {expect} from 'chai'
import {execFile} from 'node:child_process'
import {cpSync, mkdirSync, readFileSync} from 'node:fs'
import {delimiter, dirname, join} from 'node:path'

import {KlosetStore} from '../../src/kloset/store.js'
import {openRepository} from '../../src/registry/open.js'
import {cleanEnv, PROGRAM} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {loadGolden} from '../helpers/golden.js'
import {FIXTURES, scratchDir} from '../helpers/hooks.js'
import {layOutFiles, layOutFs} from '../helpers/repair-sources.js'
import {script} from '../helpers/script.js'
import {contentsOf} from '../helpers/store-shape.js'

const docs = new URL('../../docs/repair.md', import.meta.url)

/** The commands that the guide gives, in its order, each as it stands there. */
function commandsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, block]) => block!.trim())
}

/** Runs what a shell is given. */
async function sh(command: string, cwd: string, env: NodeJS.ProcessEnv): Promise<{output: string; status: number}> {
  return new Promise((resolve) => {
    const child = execFile('/bin/sh', ['-c', command], {cwd, env}, (error, stdout, stderr) => {
      resolve({output: `${stdout}${stderr}`, status: error ? Number(error.code) : 0})
    })
    child.stdin?.end()
  })
}

describe('the guide to repair', () => {
  let fake: FakeRegistry
  let mirror: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    mirror = await FakeRegistry.start()
  })

  afterEach(async () => {
    await fake.stop()
    await mirror.stop()
  })

  it('brings a store back when it is followed word by word, and takes it back again', async () => {
    const places = new Map([
      ['/mnt/plakar', layOutFs('plaintext').replace('fs://', '')],
      ['mirror.example', mirror.host],
      ['registry.example', fake.host],
    ])
    const commands = commandsOf(readFileSync(docs, 'utf8')).map((text) => {
      let here = text
      for (const [there, place] of places) here = here.replaceAll(there, place)
      return here
    })
    const [check, plan, apply, undo] = commands
    expect([check, plan, apply, undo].map((text) => /^kloset-oci (?:repair )?\S+/.exec(text!)![0])).to.deep.equal([
      'kloset-oci gc-check',
      'kloset-oci repair plan',
      'kloset-oci repair apply',
      'kloset-oci repair undo',
    ])
    expect(commands).to.have.lengthOf(4)

    const cwd = scratchDir('guide')
    const home = join(cwd, 'home')
    mkdirSync(join(home, '.cache/plakar'), {recursive: true})
    cpSync(join(FIXTURES, 'plaintext.cache'), join(home, '.cache/plakar'), {recursive: true})
    cpSync(layOutFiles('plaintext', {named: false}), join(cwd, 'rescued-files'), {recursive: true})
    const program = script('kloset-oci', `exec '${process.execPath}' '${PROGRAM}' "$@"`)
    const env = cleanEnv({HOME: home, PATH: `${dirname(program)}${delimiter}${process.env['PATH']}`})

    const copy = await openRepository(`oci://${mirror.host}/backups/main`)
    await loadGolden('plaintext', copy).finally(async () => copy.close())
    const location = `oci://${fake.host}/backups/main`
    const repository = await openRepository(location)
    try {
      await loadGolden('plaintext', repository)
      const whole = await contentsOf(repository)
      const store = new KlosetStore(repository)
      const [packfile, state] = ['packfiles-', 'state-'].map((kind) =>
        Object.keys(whole).find((tag) => tag.startsWith(kind)),
      )
      const {digest} = await store.stat('packfile', packfile!.slice('packfiles-'.length) as never)
      await repository.blobs.delete(digest)
      await repository.manifests.untag(state!)

      const damaged = await sh(check!, cwd, env)
      expect(damaged.status, damaged.output).to.equal(65)
      const planned = await sh(plan!, cwd, env)
      expect(planned.status, planned.output).to.equal(0)
      // Nobody is at a terminal here: it asks, and there is nobody to ask.
      const asked = await sh(apply!, cwd, env)
      expect([asked.status, asked.output.includes('--yes')], asked.output).to.deep.equal([64, true])
      const applied = await sh(`${apply!} --yes`, cwd, env)
      expect(applied.status, applied.output).to.equal(0)
      expect(Object.keys(await contentsOf(repository))).to.deep.equal(Object.keys(whole))
      const verified = await sh(`kloset-oci verify ${location} --tier data`, cwd, env)
      expect(verified.status, verified.output).to.equal(0)
      const undone = await sh(`${undo!} --yes`, cwd, env)
      expect(undone.status, undone.output).to.equal(0)
      expect(Object.keys(await contentsOf(repository))).not.to.include(state)
    } finally {
      await repository.close()
    }
  })
})
