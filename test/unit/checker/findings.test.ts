import {expect} from 'chai'
import {readFileSync} from 'node:fs'

import {Failures, finding} from '../../../src/checker/failures.js'
import {type FindingKind, isDamage, isGap, SEVERITIES} from '../../../src/checker/findings.js'
import {firstStep, nextSteps} from '../../../src/checker/next-steps.js'
import {exitCodeOf, Tally} from '../../../src/checker/summary.js'
import {LocalIoError} from '../../../src/errors.js'

const KINDS = Object.keys(SEVERITIES) as FindingKind[]

function verdict(...kinds: FindingKind[]): string {
  const tally = new Tally('oci://registry.example/store')
  for (const kind of kinds) tally.count(finding(kind, 'x'))
  return tally.summary(true).verdict
}

describe('findings', () => {
  it('are documented, each with its severity', () => {
    const page = readFileSync(new URL('../../../docs/findings.md', import.meta.url), 'utf8')
    const rows = [...page.matchAll(/^\| `([\w-]+)` +\| (\w+) +\|/gm)].map(([, kind, severity]) => [kind, severity])
    expect(Object.fromEntries(rows)).to.deep.equal(SEVERITIES)
  })

  it('are damage, a gap or neither', () => {
    for (const kind of KINDS) {
      const found = finding(kind, 'x')
      expect(isDamage(found) && isGap(found), kind).to.equal(false)
      expect(isDamage(found) || isGap(found), kind).to.equal(found.severity === 'error')
      const tally = new Tally('oci://registry.example/store')
      tally.count(found)
      const summary = tally.summary(false)
      const code = isDamage(found) ? 65 : isGap(found) ? 69 : kind === 'unknown-version' ? 78 : 0
      expect(exitCodeOf(summary), kind).to.equal(code)
      expect(summary.complete, kind).to.equal(!isGap(found))
    }
  })

  it('are never clean together with a gap, and damaged whatever else there is', () => {
    expect(verdict()).to.equal('clean')
    expect(verdict('unreachable')).to.equal('incomplete')
    expect(verdict('unknown-version', 'unreachable')).to.equal('incomplete')
    expect(verdict('blob-missing', 'unreachable', 'unknown-version')).to.equal('damaged')
  })

  it('all say what to do when they are errors, looking before writing, and never to delete first', () => {
    for (const kind of KINDS) {
      if (SEVERITIES[kind] === 'error')
        for (const isFolder of [false, true]) expect(firstStep(kind, {isFolder}), kind).to.be.a('string')
    }

    const all = nextSteps(KINDS, {isFolder: false})
    const at = (text: string) => all.findIndex((step) => step.includes(text))
    expect(at('run gc-check again')).to.equal(0)
    expect(at('garbage collection')).to.be.lessThan(at('in a mirror'))
    expect(at('in a mirror')).to.be.lessThan(at('repair plan'))
    expect(all.at(-2)).to.contain('locks rm')
    expect(all.at(-1), 'what harms nobody comes last').to.contain('doctor')
    expect(nextSteps(KINDS, {deep: true, isFolder: false}).join(' ')).to.not.contain('with --deep')
    expect(new Set(all).size).to.equal(all.length)
  })

  it('ask first for what stood in the way, when that says what to do', () => {
    const tally = new Tally('oci-layout:/backups/store')
    for (const path of ['a', 'a', 'b', 'c', 'd']) {
      const error = new LocalIoError(`cannot read ${path}`, {
        suggestions: [`Check the owner of ${path}.`, 'Or do not.'],
      })
      const found = tally.count(new Failures().failed(error, 'state-x', {}))
      expect(found.nextStep).to.equal(`Check the owner of ${path}.`)
    }

    const bare = tally.count(new Failures().failed(new LocalIoError('cannot read e'), 'state-x', {}))
    expect(bare.nextStep).to.contain('run gc-check again')
    const {nextSteps: steps} = tally.summary(true)
    expect(steps.slice(0, 3)).to.deep.equal(['a', 'b', 'c'].map((path) => `Check the owner of ${path}.`))
    expect(steps.slice(3)).to.deep.equal([bare.nextStep])
  })

  it('speak of no registry to who keeps a store in a folder', () => {
    const steps = nextSteps(KINDS, {isFolder: true})
    expect(steps.join('\n')).to.not.match(/registry/i)
    expect(steps[0]).to.contain('run gc-check again')
    expect(steps.join('\n')).to.contain('copies and snapshots of the folder')
    for (const kind of KINDS) {
      const found = new Tally('oci-layout:/backups/store').count(finding(kind, 'x'))
      expect(found.nextStep ?? '', kind).to.not.match(/registry/i)
      expect(new Tally('oci://registry.example/store').count(finding(kind, 'x')).nextStep, kind).to.equal(
        firstStep(kind, {isFolder: false}),
      )
    }
  })
})
