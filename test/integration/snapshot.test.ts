import {expect} from 'chai'
import {type ChildProcess} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenObjects} from '../helpers/golden.js'
import {FIXTURES, GOLDEN_PASSPHRASE, goldenCopy, scratchDir} from '../helpers/hooks.js'

const TREE = readFileSync(join(FIXTURES, 'tree.sha256'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => [line.slice(66).replace(/^dir\//, ''), line.slice(0, 64)] as const)
const NEWEST = 'f1ce91a67a94491543bfe39ea83c48a41b5af078ca08139d81c837041219f587'
const OLDEST = '21fa624f77a811571089fc0c3c544877eb10ed532a7b8fee88880d2b5cbbd6e1'

function expectTree(root: string): void {
  for (const [path, digest] of TREE) {
    expect(
      createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex'),
      path,
    ).to.equal(digest)
  }
}

describe('the snapshot commands', () => {
  const store = `oci-layout:${goldenCopy('plaintext')}`

  it('list, show and compare', async () => {
    const people = await cli(['snapshot', 'ls', store])
    expect(people.stdout.split('\n').map((line) => line.split(/ +/)[1])).to.deep.equal([NEWEST, OLDEST, undefined])
    const listed = (await cli(['snapshot', 'ls', store, '--json', '--latest'])).json()
    expect(listed).to.include({count: 1, exitCode: 0, schema: 'kloset-oci/snapshot-ls/v1', unreadableStates: 0})
    const tree = (await cli(['snapshot', 'tree', store, 'latest:sub', '--json'])).json<{entries: {path: string}[]}>()
    expect(tree.entries.map(({path}) => path.replace('/tmp/fx/src/dir/sub/', ''))).to.deep.equal([
      'empty',
      'random.bin',
      'unicode-é-名前.txt',
    ])
    const lines = (await cli(['snapshot', 'tree', store, 'latest', '--no-recursive'])).stdout.trim().split('\n')
    expect(lines.length).to.equal(16)
    expect(lines.find((line) => line.includes('->'))).to.match(/^lrwxrwxrwx .* link -> text00\.txt$/)
    const stat = (await cli(['snapshot', 'stat', store, NEWEST.slice(0, 6), 'text03.txt', '--json'])).json()
    expect(stat['entry']).to.include({kind: 'file', mode: '0600', path: '/tmp/fx/src/dir/text03.txt'})
    const diff = await cli(['snapshot', 'diff', store, OLDEST, NEWEST])
    expect(diff.stdout).to.equal('m . (time)\n+ second.txt\n')
  })

  it('write a file out, and say what is wrong with what they were asked for', async () => {
    const cat = await cli(['snapshot', 'cat', store, 'latest', 'link'])
    expect(createHash('sha256').update(cat.stdoutBytes).digest('hex')).to.equal(new Map(TREE).get('text00.txt'))
    const file = join(scratchDir('cat'), 'out')
    const written = await cli(['snapshot', 'cat', store, 'latest', 'sub/random.bin', '-o', file, '--json'])
    expect(written.json()).to.include({file, size: statSync(file).size})
    const failures: [string[], number][] = [
      [['cat', store, 'latest', 'sub'], 64],
      [['cat', store, 'latest', 'nowhere'], 66],
      [['cat', store, 'latest', 'text00.txt', '--json'], 64],
      [['cat', store, 'ffff', 'text00.txt'], 66],
      [['cat', store, '../..', 'text00.txt'], 64],
      [['ls', store, '--since', 'yesterday'], 64],
      [['ls', `oci-layout:${scratchDir('none')}/none`], 66],
      [['tree', store, 'latest:nowhere'], 66],
      [['diff', store, 'latest', 'latest:nowhere'], 66],
      [['restore', store, 'latest'], 2],
      [['restore', store, 'latest', '--to', join(FIXTURES, 'expected.json')], 64],
    ]
    for (const [args, status] of failures) {
      const failed = await cli(['snapshot', ...args])
      expect(failed.status, `${args.join(' ')}: ${failed.stderr}`).to.equal(status)
      if (!args.includes('--json')) expect(failed.stdout, args.join(' ')).to.equal('')
    }
  })

  it('take the passphrase from a command, and from nowhere that shows it', async () => {
    const encrypted = `oci-layout:${goldenCopy('encrypted')}`
    const given = ['--passphrase-command', `printf '%s\\n' "$SECRET"`]
    const listed = await cli(['snapshot', 'ls', encrypted, '--json', ...given], {env: {SECRET: GOLDEN_PASSPHRASE}})
    expect(listed.json()).to.include({count: 2, exitCode: 0})
    expect((await cli(['snapshot', 'ls', encrypted, ...given], {env: {SECRET: 'wrong'}})).status).to.equal(77)
    expect((await cli(['snapshot', 'ls', encrypted, '--passphrase-command', 'exit 3'])).status).to.equal(1)
    expect((await cli(['snapshot', 'ls', encrypted])).status).to.equal(77)
  })

  it('restore, refuse what is in the way, and go on after an interruption', async () => {
    const fake = await FakeRegistry.start()
    try {
      const objects = goldenObjects('plaintext')
      for (const {bytes, tag} of objects) fake.repository('backups/main').addImage(tag, bytes)
      const large = objects.toSorted((a, b) => b.bytes.length - a.bytes.length)[0]!
      const path = new RegExp(large.layer)
      fake.fail({hang: true, path, times: 1})
      const location = `oci://${fake.host}/backups/main`
      const target = join(scratchDir('restore'), 'to')
      const stopped = await cli(['snapshot', 'restore', location, OLDEST, '--to', target], {
        onSpawn(child: ChildProcess) {
          const look = setInterval(() => {
            if (child.exitCode === null && fake.count(undefined, path) === 0) return
            clearInterval(look)
            setTimeout(() => child.kill('SIGINT'), 100)
          }, 10)
        },
      })
      expect(stopped.status, stopped.stderr).to.equal(130)
      if (existsSync(target)) expect(readdirSync(target)).to.not.include('.kloset-oci-restore')

      const restored = await cli(['snapshot', 'restore', location, OLDEST, '--to', target, '--json'])
      expect(restored.json()).to.deep.include({damaged: 0, exitCode: 0, files: 16, links: 1, problems: []})
      expectTree(target)
      writeFileSync(join(target, 'text05.txt'), 'mine')
      const refused = await cli(['snapshot', 'restore', location, OLDEST, '--to', target])
      expect([refused.status, refused.stdout.split('\n')[0]]).to.deep.equal([
        73,
        'exists   /tmp/fx/src/dir/text05.txt: "/text05.txt": a file with other content is in its place',
      ])
      const again = await cli(['snapshot', 'restore', location, OLDEST, '--to', target, '--overwrite', 'text05.txt'])
      expect(again.status, again.stderr).to.equal(0)
      expectTree(target)
      expect(fake.violations).to.deep.equal([])
    } finally {
      await fake.stop()
    }
  })

  it('add up what a store takes', async () => {
    const {json} = await cli(['du', store, '--blobs', '--json'])
    expect(json()).to.include({broken: 0, exitCode: 0, foreign: 0})
    expect(json<{inside: object}>().inside).to.include({missing: 0, snapshots: 2, unreadable: 0})
    const people = await cli(['du', `oci-layout:${goldenCopy('encrypted')}`])
    expect(people.stdout).to.contain('unknown without the passphrase')
    expect(people.status).to.equal(0)
  })
})
