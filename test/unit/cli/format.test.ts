import {expect} from 'chai'

import {
  humanCount,
  humanDuration,
  humanSize,
  plural,
  shellCommand,
  shortMacLength,
  table,
} from '../../../src/cli/format.js'

describe('format', () => {
  it('writes sizes as plakar does, and never 1024 of a unit', () => {
    const sizes: [number, string][] = [
      [0, '0 B'],
      [17, '17 B'],
      [1023, '1023 B'],
      [1024, '1.0 KiB'],
      [992_256, '969 KiB'],
      [1_984_823, '1.9 MiB'],
      [10_188_000, '9.7 MiB'],
      [10_440_000, '10 MiB'],
      [1024 * 1024 - 1, '1.0 MiB'],
      [67_108_864, '64 MiB'],
      [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
    ]
    for (const [bytes, text] of sizes) expect(humanSize(bytes), String(bytes)).to.equal(text)
  })

  it('writes durations in their two largest units', () => {
    const spans: [number, string][] = [
      [-5, '0s'],
      [999, '0s'],
      [59_999, '59s'],
      [723_000, '12m 03s'],
      [12_000_000, '3h 20m'],
      [446_400_000, '5d 4h'],
    ]
    for (const [span, text] of spans) expect(humanDuration(span)).to.equal(text)
  })

  it('sets thousands apart', () => {
    const counts = [0, 7, 123, 1234, 12_345, 123_456, 1_234_567, 1_000_000_000, Number.MAX_SAFE_INTEGER, -123, -1234]
    for (const count of counts) expect(humanCount(count)).to.equal(count.toLocaleString('en-US'))
  })

  it('counts in words', () => {
    expect(plural(1, 'entry', 'entries')).to.equal('1 entry')
    expect(plural(100_000, 'entry', 'entries')).to.equal('100,000 entries')
    expect(plural(0, 'tag')).to.equal('0 tags')
  })

  it('aligns columns by what is seen, not by the codes of colours', () => {
    const rows = [
      ['a', '\u001B[31m1\u001B[39m'],
      ['bbb', '1000'],
    ]
    expect(table(rows, [{}, {align: 'right'}])).to.deep.equal(['a       \u001B[31m1\u001B[39m', 'bbb  1000'])
  })

  it('leaves no spaces at the end of a line', () => {
    expect(
      table([
        ['a', ''],
        ['b', 'x'],
      ]),
    ).to.deep.equal(['a', 'b  x'])
  })

  it('shortens MACs only as far as they stay apart', () => {
    const same = 'a'.repeat(20)
    expect(shortMacLength([`${same}1`.padEnd(64, '0'), `${same}2`.padEnd(64, '0')])).to.equal(21)
    expect(shortMacLength(['b'.repeat(64)])).to.equal(12)
    expect(shortMacLength(['b'.repeat(64), 'b'.repeat(64)])).to.equal(12)
    expect(shortMacLength([])).to.equal(12)
  })

  it('quotes what a shell would take apart', () => {
    expect(shellCommand('kloset-oci', 'ls', 'oci://h:5000/a')).to.equal('kloset-oci ls oci://h:5000/a')
    expect(shellCommand('ls', "oci-layout:my store's", '')).to.equal(String.raw`ls 'oci-layout:my store'\''s' ''`)
    expect(shellCommand('ls', '$(rm)')).to.equal(`ls '$(rm)'`)
  })
})
