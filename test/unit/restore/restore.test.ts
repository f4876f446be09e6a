import {expect} from 'chai'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'

import {BLOB_TYPES} from '../../../src/kloset/blob-type.js'
import {type RestoreProblem} from '../../../src/restore/problems.js'
import {Restore, type RestoreParts, type RestoreSummary} from '../../../src/restore/restore.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {type MadeSnapshot, madeSnapshot, MODE} from '../../helpers/made-snapshot.js'

interface Result {
  readonly problems: readonly string[]
  readonly summary: RestoreSummary
}

async function runWith(made: MadeSnapshot, target: string, options: Partial<RestoreParts>): Promise<Result> {
  const restore = new Restore(made.snapshot, {content: made.content, target, ...options})
  const problems: string[] = []
  for await (const {kind, path} of restore) problems.push(`${kind} ${path}`)
  return {problems: problems.sort(), summary: restore.summary}
}

const text = (path: string) => readFileSync(path, 'utf8')
const big = (fill: number, size: number) => Buffer.alloc(size, fill)

/** Files written at once, and as their content comes. */
for (const [how, maxSmallBytes] of [
  ['of small files', undefined],
  ['of large files', -1],
] as const) {
  const run = async (made: MadeSnapshot, to: string, options: Partial<RestoreParts> = {}) =>
    runWith(made, to, {maxSmallBytes, ...options})

  describe(`restore ${how}`, function () {
    let target: string

    beforeEach(function () {
      target = join(scratchDir('restore'), 'to')
    })

    it('restores files, folders and links with their modes and times', async function () {
      const made = await madeSnapshot({
        '/folder/': {mode: MODE.directory + 0o500},
        '/folder/empty': {chunks: [Buffer.alloc(0)]},
        '/folder/link': {link: '../plain'},
        '/folder/none': {},
        '/plain': {chunks: [Buffer.from('one '), Buffer.from('two')], mode: MODE.setuid + 0o640},
      })
      const {problems, summary} = await run(made, target)
      expect(problems).to.deep.equal([])
      expect(summary).to.include({bytes: 7, files: 3, folders: 2, links: 1, unchanged: 0})
      expect(text(join(target, 'plain'))).to.equal('one two')
      expect(readlinkSync(join(target, 'folder/link'))).to.equal('../plain')
      expect(lstatSync(join(target, 'plain')).mode % 0o1_0000).to.equal(0o4640)
      expect(lstatSync(join(target, 'folder')).mode % 0o1_0000).to.equal(0o500)
      for (const path of ['', 'plain', 'folder', 'folder/link', 'folder/none']) {
        expect(lstatSync(join(target, path)).mtimeMs, path).to.equal(1_000_000_000_000)
      }

      expect(readdirSync(target).sort()).to.deep.equal(['folder', 'plain'])
    })

    it('names what has extended attributes, and restores the rest of it', async function () {
      const attributes = ['user.one', 'security.two']
      const made = await madeSnapshot({
        '/folder/': {attributes: ['user.three'], mode: MODE.directory + 0o755},
        '/folder/a': {attributes, chunks: [Buffer.from('content')]},
        '/folder/b': 'without',
      })
      const restore = new Restore(made.snapshot, {content: made.content, target})
      const problems: RestoreProblem[] = []
      for await (const problem of restore) problems.push(problem)
      expect(problems.map(({attributes: names, kind, path}) => ({kind, names, path}))).to.deep.equal([
        {kind: 'attributes', names: ['user.three'], path: '/folder'},
        {kind: 'attributes', names: attributes, path: '/folder/a'},
      ])
      expect(restore.summary).to.include({damaged: 0, failed: 0, files: 2, withAttributes: 2})
      expect(text(join(target, 'folder/a'))).to.equal('content')
    })

    it('goes on where it was stopped, and does nothing twice', async function () {
      const made = await madeSnapshot({'/a': 'first', '/b': {link: 'a'}, '/sub/': {}, '/sub/c': 'third'})
      await run(made, target)
      writeFileSync(join(target, 'sub/c'), 'thi')
      made.box.reads.clear()
      made.chunks.delete([...made.chunks.keys()][0]!)
      const {problems, summary} = await run(made, target, {existing: 'overwrite'})
      expect(problems).to.deep.equal([])
      expect(summary).to.include({files: 2, links: 1, unchanged: 2})
      expect(text(join(target, 'sub/c'))).to.equal('third')
    })

    it('leaves what is in the way unless it is told otherwise, and never replaces a folder', async function () {
      const made = await madeSnapshot({'/folder': 'a file', '/link': {link: 'x'}, '/same': 'same', '/taken': 'mine'})
      mkdirSync(join(target, 'folder'), {recursive: true})
      writeFileSync(join(target, 'taken'), 'yours')
      writeFileSync(join(target, 'same'), 'same')
      symlinkSync('elsewhere', join(target, 'link'))
      const refused = await run(made, target)
      expect(refused.problems).to.deep.equal(['exists /folder', 'exists /link', 'exists /taken'])
      const kept = await run(made, target, {existing: 'keep'})
      expect([kept.problems, kept.summary.kept]).to.deep.equal([[], 4])
      expect([text(join(target, 'taken')), readlinkSync(join(target, 'link'))]).to.deep.equal(['yours', 'elsewhere'])
      const replaced = await run(made, target, {existing: 'overwrite'})
      expect(replaced.problems).to.deep.equal(['exists /folder'])
      expect([text(join(target, 'taken')), readlinkSync(join(target, 'link'))]).to.deep.equal(['mine', 'x'])
    })

    for (const existing of ['keep', 'overwrite', 'refuse'] as const) {
      it(`writes nothing through a link that was there (${existing})`, async function () {
        const outside = scratchDir('outside')
        mkdirSync(target)
        symlinkSync(outside, join(target, 'folder'))
        symlinkSync(join(outside, 'dangling'), join(target, 'file'))
        const made = await madeSnapshot({
          '/file': 'content',
          '/folder/': {},
          '/folder/deep/': {},
          '/folder/deep/x': 'x',
        })
        await run(made, target, {existing})
        expect(readdirSync(outside)).to.deep.equal([])
        expect(existsSync(join(target, 'folder/deep/x'))).to.equal(existing === 'overwrite')
      })
    }

    it('writes nothing through a link that it made itself', async function () {
      const outside = scratchDir('outside')
      const made = await madeSnapshot({
        '/a': {link: outside},
        '/a/passwd': 'outside',
        '/b/': {},
        '/b/up': {link: '..'},
        '/b/up/up': {link: '../..'},
        '/b/up/up/x': 'x',
        '/file': 'a file',
        '/file/below': 'below a file',
      })
      const {problems} = await run(made, target)
      expect(readdirSync(outside)).to.deep.equal([])
      expect(problems.length).to.be.greaterThan(2)
      const all = readdirSync(target, {recursive: true}).map(String)
      expect(all.every((path) => lstatSync(join(target, path)).isSymbolicLink() || !path.includes('..'))).to.equal(true)
      expect(readdirSync(join(target, '..'))).to.deep.equal(['to'])
    })

    it('names what is damaged by its path, and restores the rest', async function () {
      const made = await madeSnapshot({
        '/chunk': {chunks: [big(1, 10), big(2, 10)]},
        '/entry': 'an entry',
        '/object': 'an object',
        '/sound': 'sound',
        '/whole': {chunks: [big(3, 10), big(4, 10)], wrongMac: true},
      })
      const chunk = [...made.chunks].find(([, bytes]) => bytes.equals(big(2, 10)))![0]
      made.chunks.delete(chunk)
      made.box.remove(BLOB_TYPES.vfsEntry, made.entries.get('/entry')!)
      const files = await made.snapshot.files()
      made.box.remove(BLOB_TYPES.object, (await files.lookup('/object')).object!)
      const {problems, summary} = await run(made, target)
      expect(problems).to.deep.equal(['damaged /chunk', 'damaged /entry', 'damaged /object', 'damaged /whole'])
      expect(summary).to.include({damaged: 4, files: 1})
      expect(readdirSync(target)).to.deep.equal(['sound'])
    })

    it('restores beside a part of the tree that is lost', async function () {
      const paths = Object.fromEntries(
        Array.from({length: 40}, (_, n) => [`/f${String(n).padStart(2, '0')}`, `file ${n}`]),
      )
      const made = await madeSnapshot(paths)
      const files = await made.snapshot.files()
      const leaves: string[] = []
      for await (const {mac, node} of files.tree.nodes()) if (node.values.length > 0) leaves.push(mac)
      made.box.remove(BLOB_TYPES.vfsNode, leaves[3] as never)
      const {problems, summary} = await run(made, target)
      expect(problems.length).to.equal(1)
      expect(summary).to.include({damaged: 1, files: 36})
    })

    it('makes hard links of names of one file, and only of those', async function () {
      const info = {dev: 1, ino: 7, nlink: 3}
      const made = await madeSnapshot({
        '/a': {chunks: [Buffer.from('shared')], info},
        '/b': {chunks: [Buffer.from('shared')], info},
        '/c': {chunks: [Buffer.from('a liar')], info},
      })
      const {summary} = await run(made, target)
      expect(summary).to.include({files: 3, hardLinks: 1})
      const ino = (name: string) => statSync(join(target, name)).ino
      expect(ino('a')).to.equal(ino('b'))
      expect(text(join(target, 'c'))).to.equal('a liar')
      const again = await run(made, target)
      expect(again.summary).to.include({files: 3, unchanged: 3})
    })

    it('leaves zeros out, at the end too', async function () {
      const size = 4 * 1024 * 1024
      const content = Buffer.concat([big(0, size), Buffer.from('middle'), big(0, size)])
      const made = await madeSnapshot({
        '/sparse': {chunks: [content.subarray(0, size + 3), content.subarray(size + 3)]},
      })
      await run(made, target)
      const {blocks, size: restored} = statSync(join(target, 'sparse'))
      expect(restored).to.equal(content.length)
      expect(blocks * 512).to.be.lessThan(1024 * 1024)
      expect(readFileSync(join(target, 'sparse')).equals(content)).to.equal(true)
    })

    it('restores the paths it is asked for, where they lay', async function () {
      const made = await madeSnapshot({
        '/a!/': {},
        '/a!/three': '3',
        '/a/': {},
        '/a/!x/': {},
        '/a/!x/one': '1',
        '/a/two': '2',
      })
      const {summary} = await run(made, target, {paths: ['a', '/a/two']})
      expect(summary).to.include({files: 2, folders: 2})
      expect(readdirSync(target, {recursive: true}).map(String).sort()).to.deep.equal([
        'a',
        'a/!x',
        'a/!x/one',
        'a/two',
      ])
      expect((await failureOf(run(made, target, {paths: ['../nowhere']}))).code).to.equal('NOT_FOUND')
    })

    it('tells of devices and pipes, and of names that the file system takes for one', async function () {
      const made = await madeSnapshot({'/A': 'upper', '/a': 'lower', '/pipe': {mode: MODE.pipe + 0o644}})
      const {problems} = await run(made, target, {concurrency: 1, existing: 'overwrite', folds: true})
      expect(problems).to.deep.equal(['exists /a', 'special /pipe'])
      expect(text(join(target, 'A'))).to.equal('upper')
    })

    it('leaves nothing half done when it is stopped, and can be run again', async function () {
      const made = await madeSnapshot(
        Object.fromEntries(Array.from({length: 50}, (_, n) => [`/f${n}`, {chunks: [big(n, 1000), big(n + 1, 1000)]}])),
      )
      const controller = new AbortController()
      const onProgress = ({done}: {done: number}) => {
        if (done === 10) controller.abort()
      }

      const stopped = run(made, target, {onProgress, signal: controller.signal})
      expect((await failureOf(stopped)).code).to.equal('INTERRUPTED')
      const there = readdirSync(target)
      expect(there.length).to.be.within(9, 40)
      for (const name of there) expect(statSync(join(target, name)).size, name).to.equal(2000)
      const {problems, summary} = await run(made, target)
      expect([problems, summary.files, summary.unchanged]).to.deep.equal([[], 50, there.length])
    })

    it('stops when the store does', async function () {
      const made = await madeSnapshot({'/a': 'a', '/b': 'b'})
      const read: typeof made.content = Object.create(made.content) as typeof made.content
      // eslint-disable-next-line require-yield -- it never gets so far
      read.content = async function* () {
        throw new TypeError('the registry has gone')
      }

      expect((await failureOf(run(made, target, {content: read}))).message).to.equal('the registry has gone')
      expect(readdirSync(target)).to.deep.equal([])
    })

    it('refuses a target that is no folder', async function () {
      writeFileSync(target, '')
      const made = await madeSnapshot({'/a': 'a'})
      expect((await failureOf(run(made, target))).code).to.equal('INVALID_ARGUMENT')
      expect((await failureOf(run(made, join(target, 'below')))).code).to.equal('INVALID_ARGUMENT')
    })

    it('opens a folder that its owner may not write to, and closes it again', async function () {
      const made = await madeSnapshot({'/closed/': {mode: MODE.directory + 0o500}, '/closed/x': 'x'})
      mkdirSync(join(target, 'closed'), {recursive: true})
      chmodSync(join(target, 'closed'), 0o500)
      const {problems} = await run(made, target)
      expect(problems).to.deep.equal([])
      expect(statSync(join(target, 'closed')).mode % 0o1_0000).to.equal(0o500)
    })

    it('leaves what came into its place while its content was read', async function () {
      const made = await madeSnapshot({'/a': 'a', '/b': 'b'})
      const content: typeof made.content = Object.create(made.content) as typeof made.content
      content.content = async function* (object) {
        yield* made.content.content(object)
        writeFileSync(join(target, 'a'), 'mine')
      }

      const {problems} = await run(made, target, {concurrency: 1, content})
      expect(problems).to.deep.equal(['exists /a'])
      expect(readdirSync(target).sort()).to.deep.equal(['a', 'b'])
      expect(text(join(target, 'a'))).to.equal('mine')
    })
  })
}
