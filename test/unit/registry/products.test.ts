import {expect} from 'chai'

import {CONFIG_TAG, meaningOf, RESOURCES, tagOf} from '../../../src/kloset/resource.js'
import {
  COMMON,
  PRODUCT_IDS,
  productOf,
  productOfHost,
  productOfTraces,
  PRODUCTS,
  TAG_RULES,
  TOPICS,
} from '../../../src/registry/products.js'
import {testMac} from '../../helpers/macs.js'

const matches = (rule: keyof typeof TAG_RULES, tag: string) => new RegExp(TAG_RULES[rule]).test(tag)

const traces = (authenticate?: string, headers: Record<string, string> = {}) =>
  productOfTraces({authenticate, headers})?.id

describe('products', () => {
  it('have advice on every topic, and each is there once', () => {
    expect(PRODUCTS.map(({id}) => id))
      .to.have.members(PRODUCT_IDS)
      .and.to.have.length(PRODUCT_IDS.length)
    for (const {advice, id} of [...PRODUCTS, {advice: COMMON, id: 'common'}]) {
      for (const topic of TOPICS) expect(advice[topic], `${id} ${topic}`).to.have.property('0')
    }
  })

  it('give rules that match the tags of a store, all of them and no others', () => {
    const own = [CONFIG_TAG, ...RESOURCES.map((resource) => tagOf(resource, testMac(1)))]
    for (const tag of own) {
      expect(meaningOf(tag).kind).not.to.equal('foreign')
      expect(matches('all', tag), tag).to.equal(true)
      // Each is either one that moves or one that stays.
      expect(matches('mutable', tag), tag).to.equal(!matches('written', tag))
    }

    expect(matches('mutable', tagOf('lock', testMac(1)))).to.equal(true)
    for (const tag of ['latest', 'locks-1', `locks-${'A'.repeat(64)}`, `xlocks-${testMac(1)}`]) {
      for (const rule of ['all', 'mutable', 'written'] as const)
        expect(matches(rule, tag), `${rule} ${tag}`).to.equal(false)
    }
  })

  it('are known by their hosts', () => {
    const hosts: [string, string | undefined][] = [
      ['docker.io', 'docker-hub'],
      ['registry-1.docker.io', 'docker-hub'],
      ['ghcr.io', 'ghcr'],
      ['123456789012.dkr.ecr.eu-west-1.amazonaws.com', 'ecr'],
      ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'ecr'],
      ['europe-west1-docker.pkg.dev', 'gar'],
      ['eu.gcr.io', 'gar'],
      ['MyRegistry.azurecr.io:443', 'acr'],
      ['quay.io', 'quay'],
      ['registry.gitlab.com', 'gitlab'],
      ['notdocker.io', undefined],
      ['ghcr.io.example.com', undefined],
      ['registry.example', undefined],
    ]
    for (const [host, id] of hosts) expect(productOfHost(host)?.id, host).to.equal(id)
  })

  it('are known by what their answers give away', () => {
    expect(traces('Bearer realm="https://h/service/token",service="harbor-registry"')).to.equal('harbor')
    expect(traces('Bearer realm="https://g/jwt/auth",service="container_registry"')).to.equal('gitlab')
    expect(traces(undefined, {'gitlab-container-registry-version': '4.0.0'})).to.equal('gitlab')
    expect(traces('Basic realm="Registry"')).to.equal(undefined)
    expect(traces()).to.equal(undefined)
    expect(productOf('zot').name).to.equal('zot')
  })
})
