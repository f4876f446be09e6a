import {expect} from 'chai'

import type {Finding} from '../../../../src/checker/findings.js'

import {
  mergeShards,
  parseShardResult,
  SHARD_SCHEMA,
  type ShardResult,
} from '../../../../src/checker/verify/shard-result.js'

function result(index: number, overrides: Partial<ShardResult> = {}, count = 3): ShardResult {
  return {
    findings: [],
    finished: `2026-01-01T0${index}:30:00.000Z`,
    repositoryId: 'r',
    schema: SHARD_SCHEMA,
    shard: {count, index},
    started: `2026-01-01T0${index}:00:00.000Z`,
    store: 'oci://h/r',
    summary: {kinds: {}, left: 0, packfiles: 9, tier: 'mac', verdict: 'clean', verified: {bytes: 10, objects: 2}},
    ...overrides,
  }
}

function worse(index: number, verdict: ShardResult['summary']['verdict']): ShardResult {
  return result(index, {summary: {...result(index).summary, verdict}})
}

describe('results of shards', () => {
  it('are one when all are there, and as bad as the worst', () => {
    const merged = mergeShards([result(2), result(3), result(1)])
    expect(merged).to.deep.include({asOf: '2026-01-01T01:00:00.000Z', shards: 3, verdict: 'clean'})
    expect(merged.verified).to.deep.equal({bytes: 30, objects: 6})
    expect(mergeShards([result(1), worse(2, 'partial'), worse(3, 'incomplete')]).verdict).to.equal('incomplete')
    expect(mergeShards([worse(1, 'damaged'), worse(2, 'partial'), result(3)]).verdict).to.equal('damaged')
  })

  it('tell what every shard found once', () => {
    const found: Finding = {kind: 'state-unreadable', message: 'state-1: no state', severity: 'error'}
    const merged = mergeShards([1, 2, 3].map((index) => result(index, {findings: [found]})))
    expect(merged.findings).to.have.length(1)
  })

  it('are refused when one is missing, there twice, or of another run', () => {
    expect(() => mergeShards([result(1), result(3)]))
      .to.throw('2/3')
      .with.property('code', 'PARTIAL')
    expect(() => mergeShards([result(1), result(1), result(2), result(3)])).to.throw('twice')
    for (const other of [
      result(3, {repositoryId: 'other'}),
      result(3, {}, 4),
      result(3, {summary: {...result(3).summary, tier: 'data'}}),
    ]) {
      expect(() => mergeShards([result(1), result(2), other])).to.throw('two verifications')
    }
  })

  it('are read back as they were, and nothing else is', () => {
    expect(parseShardResult(JSON.stringify(result(1)), 'a.json')).to.deep.equal(result(1))
    const bad = [
      JSON.stringify(result(1)).slice(0, -5),
      '{}',
      'null',
      JSON.stringify({...result(1), schema: 'kloset-oci/verify-result/v2'}),
      JSON.stringify({...result(1), shard: {count: 3, index: 4}}),
      JSON.stringify({...result(1), findings: [{kind: 'no-such-kind', message: 'x'}]}),
      JSON.stringify({...result(1), summary: {...result(1).summary, verdict: 'fine'}}),
    ]
    for (const text of bad) expect(() => parseShardResult(text, 'a.json'), text).to.throw('a.json')
  })
})
