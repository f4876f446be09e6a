import {expect} from 'chai'
import {load, loadAll} from 'js-yaml'
import {spawn} from 'node:child_process'
import {mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {delimiter, dirname, join} from 'node:path'

import {watched} from '../helpers/children.js'
import {type CliServer, cliServer} from '../helpers/cli-server.js'
import {cleanEnv, PROGRAM} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {scratchDir} from '../helpers/hooks.js'
import {RepairRig} from '../helpers/repair-rig.js'
import {script} from '../helpers/script.js'

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname

/** How a workflow writes the number of its shard. */
const MATRIX_SHARD = ['$', '{{ matrix.shard }}'].join('')

/** Shards that the store of the test is divided into. */
const SHARDS = 3

interface Container {
  readonly args?: readonly string[]
  readonly command: readonly string[]
  readonly env?: readonly {readonly name: string; readonly value?: string}[]
  readonly volumeMounts: readonly {readonly mountPath: string; readonly name: string}[]
}

interface Pod {
  readonly spec: {readonly containers: readonly Container[]; readonly volumes: readonly {readonly name: string}[]}
}

interface Document {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {readonly name: string}
  readonly spec: {
    readonly completions?: number
    readonly jobTemplate?: {readonly spec: {readonly template: Pod}}
    readonly template?: Pod
  }
}

interface Workflow {
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly needs?: string
        readonly steps: readonly {readonly run?: string; readonly with?: Readonly<Record<string, unknown>>}[]
        readonly strategy?: {readonly matrix: {readonly shard: readonly number[]}}
      }
    >
  >
}

function read(name: string): string {
  return readFileSync(join(EXAMPLES, name), 'utf8')
}

function documents(name: string): Document[] {
  return loadAll(read(name)) as Document[]
}

function podOf({spec}: Document): Pod {
  return (spec.template ?? spec.jobTemplate?.spec.template)!
}

function containerOf(name: string, document: string): Container {
  const found = documents(name).find(({metadata}) => metadata.name === document)
  return podOf(found!).spec.containers[0]!
}

describe('the examples', function () {
  this.timeout(120_000)
  let bin: string
  let dir: string
  let rig: RepairRig
  let server: CliServer
  let store: string

  beforeEach(async () => {
    bin = dirname(script('kloset-oci', `exec "${process.execPath}" "${PROGRAM}" "$@"`))
    dir = scratchDir('examples')
    for (const name of ['results', 'ledger', 'secrets', 'docker']) mkdirSync(join(dir, name))
    writeFileSync(join(dir, 'secrets/passphrase'), 'not needed by this store\n')
    rig = new RepairRig('plaintext')
    server = await cliServer([rig.root, '--repository', 'backups/main'])
    store = `${server.url.replace(/^http/, 'oci')}/backups/main`.replace('//backups', '/backups')
  })

  afterEach(() => server.stop())

  /** A text of an example with the places of this machine in it. */
  function here(text: string): string {
    return text
      .replaceAll('oci://registry.example/backups/main', store)
      .replaceAll('oci://ghcr.io/example/backups', store)
      .replaceAll(/oci:\/\/other\.example\/\S+/g, `oci-layout:${join(dir, 'mirror.oci')}`)
      .replaceAll(/(?<![\w.])\/(results|ledger|secrets|docker)\b/g, join(dir, '$1'))
      .replaceAll('/var/lib/kloset-oci', join(dir, 'ledger'))
      .replaceAll('/etc/kloset-oci', join(dir, 'docker'))
  }

  /** Runs a command as the example says it, and fails when it runs into the time that a test has. */
  async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
    const [command, ...args] = words
    const child = watched(
      spawn(command!, args, {
        cwd: join(dir, 'results'),
        env: {...cleanEnv(env), PATH: `${bin}${delimiter}${process.env['PATH']}`},
        stdio: 'ignore',
      }),
    )
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (status) => resolve(status ?? -1))
    })
  }

  async function runContainer({args = [], command, env = []}: Container, more: Readonly<Record<string, string>> = {}) {
    const variables = Object.fromEntries(
      env.flatMap(({name, value}) => (value === undefined ? [] : [[name, here(value)]])),
    )
    return run(
      [...command, ...args].map((word) => here(word).replaceAll(/(\)\))\/\d+"/g, `$1/${SHARDS}"`)),
      {...variables, ...more},
    )
  }

  function damage(): void {
    const [tag] = rig.tagsOf('packfiles') as [string]
    rig.editBlob(rig.layerOf(tag), (bytes) => flipBit(bytes, 80_000))
  }

  it('for Kubernetes are what it takes: every volume that is mounted is there', () => {
    for (const name of readdirSync(join(EXAMPLES, 'kubernetes'))) {
      const all = documents(`kubernetes/${name}`)
      expect(all.length, name).to.be.greaterThan(0)
      for (const document of all) {
        expect(document, name).to.include.keys('apiVersion', 'kind', 'metadata', 'spec')
        if (document.kind === 'PersistentVolumeClaim') continue
        const {containers, volumes} = podOf(document).spec
        const mounted = containers.flatMap(({volumeMounts}) => volumeMounts.map((mount) => mount.name))
        expect(
          volumes.map((volume) => volume.name),
          name,
        ).to.include.members(mounted)
      }
    }
  })

  it('verify a store by the pods of an indexed job, and merge what they found', async () => {
    const job = documents('kubernetes/verify-sharded.yaml').find(({kind}) => kind === 'Job')!
    const container = containerOf('kubernetes/verify-sharded.yaml', 'kloset-verify')
    expect(container.args!.join(' ')).to.contain(`/${job.spec.completions}"`)
    const merge = containerOf('kubernetes/verify-sharded.yaml', 'kloset-verify-merge')
    const pod = async (index: number) => runContainer(container, {JOB_COMPLETION_INDEX: String(index)})
    expect(await pod(0)).to.equal(0)
    expect(await runContainer(merge), 'with shards that are missing').to.equal(75)
    expect([await pod(1), await pod(2)]).to.deep.equal([0, 0])
    expect(await runContainer(merge)).to.equal(0)
  })

  it('verify a store by the jobs of a matrix, and merge what they found', async () => {
    const {jobs} = load(read('ci/verify-matrix.yaml')) as Workflow
    const {shard} = jobs['shard']!.strategy!.matrix
    const commandOf = (job: string) =>
      jobs[job]!.steps.map((step) => step.run).find((text) => text?.startsWith('kloset'))!
    const command = commandOf('shard')
    expect(shard).to.deep.equal(Array.from({length: shard.length}, (_, at) => at + 1))
    expect(command).to.contain(`}}/${shard.length} `)
    expect(jobs['merge']!.needs).to.equal('shard')
    const uploads = jobs['shard']!.steps.find((step) => step.with?.['path'] !== undefined)!
    const at = (text: string, number: number) =>
      here(text).replace(`}}/${shard.length}`, `}}/${SHARDS}`).split(MATRIX_SHARD).join(String(number))
    damage()
    const statuses: number[] = []
    for (let number = 1; number <= SHARDS; number++) {
      statuses.push(await run(['/bin/sh', '-ec', at(command, number)]))
      expect(statSync(join(dir, 'results', at(String(uploads.with!['path']), number))).size).to.be.greaterThan(0)
    }

    expect(statuses.sort()).to.deep.equal([0, 0, 65])
    expect(await run(['/bin/sh', '-ec', commandOf('merge')])).to.equal(65)
  })

  it('verify a part every night, and mirror a store', async () => {
    const nightly = containerOf('kubernetes/verify-nightly.yaml', 'kloset-verify-nightly')
    expect(await runContainer(nightly)).to.equal(0)
    expect(readFileSync(join(dir, 'ledger/main.ledger'), 'utf8')).to.contain('"good"')
    expect(readFileSync(join(dir, 'ledger/verify.prom'), 'utf8')).to.contain('kloset_oci_verify_ledger')
    damage()
    const again = {...nightly, args: nightly.args!.map((text) => text.replace('--max-age 30d', '--max-age 0s'))}
    expect(await runContainer(again)).to.equal(65)

    const mirror = containerOf('kubernetes/mirror-cronjob.yaml', 'kloset-mirror')
    expect(await runContainer(mirror, {REGISTRY_AUTH_FILE: ''}), 'of a damaged store').to.equal(65)
    expect(readFileSync(join(dir, 'ledger/mirror-main.prom'), 'utf8')).to.contain('kloset_oci_mirror_exit_code')
  })
})
