import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {collectGcCheck} from '../../../src/checker/index.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {scratchDir} from '../../helpers/hooks.js'
import {type Death, Life} from '../../helpers/kill/life.js'
import {MortalProxy, type Steps} from '../../helpers/kill/proxy.js'
import {putLock} from '../../helpers/locks.js'
import {stopPeers} from '../../helpers/peers.js'
import {needPlakar, plakarLikeThat, type PlakarUser, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {copyRepository, type RegistryKind, type RunningRegistry, startRegistry} from '../../helpers/registries.js'

const MINUTE = 60_000
const STRIDE = process.env['KLOSET_OCI_KILL_STRIDE']
const FIRST = process.env['KLOSET_OCI_KILL_FIRST']
/** By default one request of each command and each end; what deletes by digest takes the most requests. */
const KINDS: readonly RegistryKind[] = STRIDE === undefined ? ['registry2'] : ['registry2', 'registry3', 'serve']

/** A plakar at work through our plugin, on a copy of its store that nobody else uses. */
interface Try {
  readonly life: Life
  readonly plakar: PlakarUser
  readonly proxy: MortalProxy
}

/** How it comes to an end. */
interface End {
  /** @returns what the proxy goes by, and what the command is run with */
  begin(run: Try): {readonly signal?: AbortSignal; readonly steps: Steps}
  readonly death: Death
  readonly name: string
}

/** plakar alone is killed, at the request that its plugin makes: the plugin finds out by itself, the registry lives on. */
const PLAKAR_KILLED: End = {
  begin({life}) {
    const killed = new AbortController()
    life.onEnd(() => killed.abort())
    const steps: Steps = {
      onEnd() {},
      async step(request) {
        // What has left, arrives.
        await life.step(async () => {}).catch(() => {})
        return request()
      },
    }
    return {signal: killed.signal, steps}
  },
  death: 'before',
  name: 'plakar is killed',
}

const powerLost = (death: Death): End => ({
  begin({life, plakar}) {
    life.onEnd(() => plakar.kill())
    return {steps: life}
  },
  death,
  name: `everything is killed, ${death} the registry has it`,
})

const registryGone = (death: Death): End => ({
  begin: ({life}) => ({steps: life}),
  death,
  name: `the registry answers nothing any more, ${death} it has it`,
})

const ENDS: readonly End[] = [
  PLAKAR_KILLED,
  powerLost('after'),
  registryGone('before'),
  ...(STRIDE === undefined ? [] : [powerLost('before'), registryGone('after')]),
]

/** A folder of one file, like no other. */
function folderOf(name: string): string {
  const folder = join(scratchDir('source'), name)
  mkdirSync(folder)
  writeFileSync(join(folder, name), randomBytes(40_000))
  return folder
}

class World {
  /** What the command under test backs up. */
  readonly added = folderOf('added')
  /** Of the snapshot that has to live on. */
  readonly kept = folderOf('kept')
  keptId = ''
  /** Packfiles of that one alone. */
  keptPackfiles: readonly string[] = []
  readonly plakar: PlakarUser
  readonly program: string
  readonly registry: RunningRegistry
  removedId = ''

  constructor(program: string, registry: RunningRegistry, plakar: PlakarUser) {
    this.plakar = plakar
    this.program = program
    this.registry = registry
  }

  static async make(program: string, registry: RunningRegistry): Promise<World> {
    const world = new World(program, registry, await plakarWithOurs(program))
    const {plakar} = world
    plakar.env = {PLAKAR_GRACEPERIOD: '0s'}
    const location = world.at('org/store')
    await plakar.create(location)
    world.keptId = await plakar.backup(location, world.kept)
    world.keptPackfiles = await packfilesOf(location)
    world.removedId = await plakar.backup(location, folderOf('removed'))
    copyRepository(registry, 'org/store', 'org/two')
    await plakar.ok('at', location, 'rm', '-apply', world.removedId)
    // It colours the packfiles of that one; the next one deletes them, and colours others.
    await plakar.ok('at', location, 'maintenance')
    const other = await plakar.backup(location, folderOf('other'))
    await plakar.ok('at', location, 'rm', '-apply', other)
    copyRepository(registry, 'org/store', 'org/deleted')
    return world
  }

  at(repository: string): string {
    return `oci://${this.registry.host}/${repository}`
  }
}

/** What plakar does, and what has to be so when it has done it in the end. */
interface Command {
  readonly args: (world: World) => readonly string[]
  /** @param direct the location without anything between */
  readonly expectDone: (world: World, plakar: PlakarUser, location: string, direct: string) => Promise<void>
  readonly name: string
  /** Repository that it begins with. */
  readonly on: string
  /** Whether it waits until the lock of one that was killed is dead. */
  readonly waits: boolean
}

const COMMANDS: readonly Command[] = [
  {
    args: ({added}) => ['-quiet', 'backup', added],
    async expectDone({added, keptId, removedId}, plakar, location) {
      // What was killed at its very end has made a snapshot too.
      const made = (await plakar.snapshots(location)).filter((id) => id !== keptId && id !== removedId)
      expect(made).to.have.length.within(1, 2)
      for (const id of made) await plakar.restore(location, id, added)
    },
    name: 'backup',
    on: 'org/two',
    waits: false,
  },
  {
    args: ({removedId}) => ['rm', '-apply', removedId],
    async expectDone({keptId}, plakar, location) {
      expect(await plakar.snapshots(location)).to.deep.equal([keptId])
    },
    name: 'rm',
    on: 'org/two',
    waits: false,
  },
  {
    args: () => ['maintenance'],
    async expectDone({keptId, keptPackfiles}, plakar, location, direct) {
      // What was deleted is gone, what this one has coloured goes with the next, and what it forgot with the one after.
      for (let run = 0; run < 2; run++) await plakar.ok('at', location, 'maintenance')
      expect(await packfilesOf(direct)).to.deep.equal(keptPackfiles)
      expect(await plakar.snapshots(location)).to.deep.equal([keptId])
    },
    name: 'maintenance',
    on: 'org/deleted',
    waits: true,
  },
]

async function packfilesOf(location: string): Promise<string[]> {
  const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
  const tags: string[] = []
  try {
    for await (const tag of repository.tags()) if (tag.startsWith('packfiles-')) tags.push(tag)
  } finally {
    await repository.close()
  }

  return tags.sort()
}

/** Nothing under a tag is half there: read to the last byte. @returns the locks */
async function expectUndamaged(location: string, point: string): Promise<string[]> {
  const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
  const locks: string[] = []
  try {
    const {findings} = await collectGcCheck(repository, {deep: true})
    const errors = findings.filter(({severity}) => severity === 'error').map(({kind, message}) => `${kind}: ${message}`)
    expect(errors, point).to.deep.equal([])
    for await (const tag of repository.tags()) if (tag.startsWith('locks-')) locks.push(tag.slice('locks-'.length))
  } finally {
    await repository.close()
  }

  return locks
}

for (const kind of KINDS) {
  describe(`plakar on ${kind}, killed at every request of our plugin`, function () {
    this.timeout(3_600_000)
    let tries = 0
    let world: World

    before(async function () {
      world = await World.make(needPlakar(this), await startRegistry(this, kind))
    })

    after(async () => {
      await stopPlakars()
      await stopPeers()
    })

    /** One try. @returns how many requests were made, and whether it came to its end before them */
    async function once({args, expectDone, on, waits}: Command, end: End, at: number) {
      const point = `request ${at}`
      const name = `org/try-${++tries}`
      copyRepository(world.registry, on, name)
      const plakar = plakarLikeThat(world.program, world.plakar)
      plakar.env = world.plakar.env
      const life = new Life(at, end.death)
      const proxy = await MortalProxy.start(world.registry.host, life)
      try {
        const location = `oci://${proxy.host}/${name}`
        await plakar.ok('store', 'add', 'main', location, 'retries=0')
        const {signal, steps} = end.begin({life, plakar, proxy})
        proxy.begin(steps)
        const command = args(world)
        const options = command[0] === '-quiet' ? [command[0]] : []
        const all = [...options, 'at', '@main', ...command.slice(options.length)]
        const {status, stderr, stdout} = await plakar.runWith({signal}, ...all)
        await life.settled()
        const {count, isOver} = life
        if (!isOver) {
          expect(status, stdout + stderr).to.equal(0)
          return {count, isOver}
        }

        proxy.begin(new Life())
        const locks = await expectUndamaged(world.at(name), point)
        await plakar.restore('@main', world.keptId, world.kept)
        if (waits && locks.length > 0) {
          const refused = await plakar.run(...all)
          expect(refused.stdout + refused.stderr).to.match(/already locked/)
          // Ten minutes later: plakar takes away what has no holder any more.
          for (const mac of locks) await putLock(world.at(name), 11 * MINUTE, {mac})
        }

        await plakar.ok(...all)
        await expectDone(world, plakar, '@main', world.at(name))
        await plakar.check('@main')
        await expectUndamaged(world.at(name), `${point}, then run again`)
        return {count, isOver}
      } catch (error) {
        throw new Error(`${point}: ${error instanceof Error ? error.message : String(error)}`, {cause: error})
      } finally {
        await plakar.close()
        await proxy.close()
      }
    }

    for (const [index, command] of COMMANDS.entries()) {
      describe(command.name, () => {
        let requests = 0

        before(async () => {
          const {count} = await once(command, registryGone('before'), Number.POSITIVE_INFINITY)
          expect(count).to.be.greaterThan(0)
          requests = count
        })

        for (const [way, end] of ENDS.entries()) {
          it(`${end.name}: nothing is half there, and the next one works`, async () => {
            // Without a stride the requests are spread, one for each.
            const spread = 1 + Math.floor((((index * ENDS.length + way) * 0.618) % 1) * requests)
            const stride = Number(STRIDE ?? requests)
            let tried = 0
            for (let at = Number(FIRST ?? (STRIDE === undefined ? spread : 1)); at <= requests; at += stride)
              if ((await once(command, end, at)).isOver) tried += 1
            expect(tried).to.be.greaterThan(0)
            if (STRIDE !== undefined) process.stderr.write(`    ${tried} of ${requests} requests\n`)
          })
        }
      })
    }
  })
}
