import {expect} from 'chai'

import {buildObjectManifest, CONFIG_DESCRIPTOR, readObjectManifest} from '../../../src/kloset/object-manifest.js'
import {digestOf} from '../../../src/registry/digest.js'
import {parseImageManifest} from '../../../src/registry/manifest.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {failureIn} from '../../helpers/failure.js'

const LAYER = {digest: digestOf(Buffer.from('x')), mediaType: MEDIA_TYPE.octetStream, size: 1}
const base = {artifactType: true, created: 0, layer: LAYER, resource: 'state', tag: 'state-1'} as const

function read(json: unknown, mediaType: string = MEDIA_TYPE.imageManifest) {
  return readObjectManifest({bytes: Buffer.from(JSON.stringify(json)), mediaType}, 'tag')
}

describe('object manifest', () => {
  it('is a sound image manifest that the official reader takes too', () => {
    const manifest = parseImageManifest(buildObjectManifest(base), 'x')
    expect(manifest.layers).to.deep.equal([LAYER])
    expect(manifest.config).to.deep.equal(CONFIG_DESCRIPTOR)
    expect(manifest.artifactType).to.equal('application/vnd.plakar.kloset.state.v1')
    expect(manifest.annotations).to.deep.equal({
      'org.opencontainers.image.created': '1970-01-01T00:00:00.000Z',
      'org.opencontainers.image.ref.name': 'state-1',
    })
    expect(CONFIG_DESCRIPTOR.digest).to.equal('sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  })

  it('differs with the tag alone, and can leave the artifact type out', () => {
    const [one, two] = [buildObjectManifest(base), buildObjectManifest({...base, tag: 'state-2'})]
    expect(digestOf(one.bytes)).to.not.equal(digestOf(two.bytes))
    const plain = buildObjectManifest({...base, artifactType: false})
    expect(parseImageManifest(plain, 'x').artifactType).to.equal(undefined)
  })

  it('reads back what it wrote', () => {
    expect(readObjectManifest(buildObjectManifest(base), 'x')).to.deep.include({
      config: {digest: CONFIG_DESCRIPTOR.digest, size: 2},
      layer: LAYER.digest,
      layerCount: 1,
      shape: 'own',
      size: 1,
    })
  })

  it('asks no more than the official reader: a first layer with a digest', () => {
    const {digest} = LAYER
    expect(read({layers: [{digest}]})).to.deep.include({config: undefined, layer: digest, shape: 'official', size: -1})
    expect(read({layers: [{digest, size: 5}, {}]})).to.include({layerCount: 2, size: 5})
    expect(read({layers: [{digest, size: 5}]}, '').size).to.equal(5)
    expect(read({layers: [{digest, size: 5}], mediaType: MEDIA_TYPE.dockerManifest}, '').size).to.equal(5)
  })

  it('takes a size that cannot be true for unknown', () => {
    for (const size of [0, -1, 1.5, '5', null, 2 ** 60]) {
      expect(read({layers: [{digest: LAYER.digest, size}]}).size, String(size)).to.equal(-1)
    }

    expect(read({layers: [{digest: digestOf(Buffer.alloc(0)), size: 0}]}).size).to.equal(0)
  })

  it('refuses what holds no object', () => {
    const {digest} = LAYER
    const cases: [unknown, string, string][] = [
      [{layers: [{digest}]}, MEDIA_TYPE.imageIndex, 'STORE_FORMAT'],
      [{layers: [{digest}], mediaType: MEDIA_TYPE.imageIndex}, MEDIA_TYPE.imageManifest, 'STORE_FORMAT'],
      [{layers: []}, MEDIA_TYPE.imageManifest, 'STORE_FORMAT'],
      [{layers: {0: {digest}}}, MEDIA_TYPE.imageManifest, 'STORE_FORMAT'],
      [{layers: [null]}, MEDIA_TYPE.imageManifest, 'STORE_FORMAT'],
      [{layers: [{digest: 'sha256:abc'}]}, MEDIA_TYPE.imageManifest, 'STORE_FORMAT'],
      [[], MEDIA_TYPE.imageManifest, 'PROTOCOL'],
    ]
    for (const [json, mediaType, code] of cases) {
      expect(failureIn(() => read(json, mediaType)).code, JSON.stringify(json)).to.equal(code)
    }
  })
})
