import {expect} from 'chai'

import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {OverlayRepository} from '../../../src/repair/plan/overlay.js'
import {copyOf} from '../../../src/repair/sources/store-source.js'
import {collect} from '../../../src/util/collect.js'
import {goldenInMemory, goldenObjects} from '../../helpers/golden.js'

describe('a store as it will be when it is healed', () => {
  it('gives the range of a copy that was asked for, whatever the copy lies in', async () => {
    const {bytes, layer, tag} = goldenObjects('plaintext').find((one) => one.tag.startsWith('packfiles-'))!
    const mirror = await goldenInMemory('plaintext')
    const overlay = new OverlayRepository(await goldenInMemory('plaintext'))
    const copy = await copyOf(mirror, layer, {name: tag})
    overlay.heal({resource: 'packfile', tag}, {...copy!, digest: layer})
    for (const [offset, length] of [
      [0, 64],
      [4000, 96],
      [bytes.length - 40, 40],
    ] as const) {
      const target = {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
      const stream = await overlay.blobs.fetch(target, {range: {length, offset}})
      const found = await collect(stream, {limit: length, what: tag})
      expect(found.equals(bytes.subarray(offset, offset + length)), `${length} bytes from ${offset}`).to.equal(true)
    }
  })
})
