import {expect} from 'chai'
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {formatMetrics, gauge, writeMetrics} from '../../../src/cli/metrics.js'
import {cli} from '../../helpers/cli.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenCopy, scratchDir} from '../../helpers/hooks.js'

/** What the exposition format allows on a line that is not a comment. */
const SERIES = /^[a-z_:][a-z\d_:]*(?:\{(?:[a-z_]\w*="(?:[^"\\\n]|\\[\\n"])*"(?:,(?!\}))?)*\})? -?[\d.e+-]+$/

describe('metrics', () => {
  it('writes the text format, with everything escaped that needs it', () => {
    const text = formatMetrics([
      gauge('one', 'Of a "kind" \\ and\nanother.', [{labels: {store: 'a"b\\c\nd'}, value: true}, {value: 1.5}]),
      {help: 'Other.', name: 'two', samples: [], type: 'counter'},
    ])
    expect(text.split('\n')).to.deep.equal([
      String.raw`# HELP kloset_oci_one Of a "kind" \\ and\nanother.`,
      '# TYPE kloset_oci_one gauge',
      String.raw`kloset_oci_one{store="a\"b\\c\nd"} 1`,
      'kloset_oci_one 1.5',
      '# HELP two Other.',
      '# TYPE two counter',
      '',
    ])
  })

  it('replaces the file as a whole, and leaves it alone where it cannot', async () => {
    const folder = scratchDir('metrics')
    const path = join(folder, 'kloset.prom')
    await writeMetrics(path, [gauge('one', 'One.', [{value: 1}])])
    await writeMetrics(path, [gauge('one', 'One.', [{value: 2}])])
    expect(readFileSync(path, 'utf8')).to.match(/^kloset_oci_one 2$/m)
    expect(readdirSync(folder)).to.deep.equal(['kloset.prom'])
    mkdirSync(join(folder, 'taken'))
    const error = await failureOf(writeMetrics(join(folder, 'taken'), []))
    expect(error.code).to.equal('INVALID_ARGUMENT')
  })

  it('says what gc-check found', async () => {
    const layout = goldenCopy('plaintext')
    const path = join(scratchDir('metrics'), 'kloset.prom')
    const sound = await cli(['gc-check', `oci-layout:${layout}`, '--metrics', path])
    expect(sound.status, sound.stderr).to.equal(0)
    const before = readFileSync(path, 'utf8')
    for (const line of before.trimEnd().split('\n')) if (!line.startsWith('#')) expect(line).to.match(SERIES)
    expect(before).to.match(/^kloset_oci_gc_check_verdict\{store="oci-layout:[^"]*",verdict="clean"\} 1$/m)
    expect(before).to.match(/^kloset_oci_gc_check_objects\{resource="config",store="[^"]*"\} 1$/m)
    const timestamp = /^kloset_oci_gc_check_timestamp_seconds\{[^}]*\} (\d+)/m.exec(before)
    expect(Math.abs(Number(timestamp![1]) - Date.now() / 1000)).to.be.lessThan(600)

    writeFileSync(
      join(layout, 'index.json'),
      readFileSync(join(layout, 'index.json'), 'utf8').replace('CONFIG', 'OTHER'),
    )
    const damaged = await cli(['gc-check', `oci-layout:${layout}`, '--metrics', path])
    expect(damaged.status).to.equal(65)
    const after = readFileSync(path, 'utf8')
    expect(after).to.match(/verdict="damaged"\} 1$/m)
    expect(after).to.match(/verdict="clean"\} 0$/m)
    expect(after).to.match(/^kloset_oci_gc_check_exit_code\{[^}]*\} 65$/m)
    expect(after).to.match(/^kloset_oci_gc_check_findings_by_kind\{kind="config-missing",store="[^"]*"\} 1$/m)

    // No store: the last result stays, to be seen to be old.
    const gone = await cli(['gc-check', 'oci-layout:./nowhere', '--metrics', path])
    expect(gone.status).to.equal(66)
    expect(readFileSync(path, 'utf8')).to.equal(after)
  })
})
