import type {RepairRig} from './repair-rig.js'

import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {flipBit} from './damage.js'

/** One way in which a store is damaged. */
export interface StoreDamage {
  readonly name: string
  readonly run: (rig: RepairRig, tag: string) => Promise<void> | void
}

/** Changes what is in a manifest and points the tag at the changed one. */
async function editManifest(rig: RepairRig, tag: string, edit: (text: string) => string): Promise<void> {
  await rig.withRepository(async (repository) => {
    const {bytes, mediaType} = await repository.manifests.get(tag)
    const changed = Buffer.from(edit(Buffer.from(bytes).toString()))
    await repository.manifests.push({bytes: changed, mediaType}, {tag})
  })
}

/** Damages of one object by its tag. */
export const DAMAGES: readonly StoreDamage[] = [
  {name: 'missing blob', run: (rig, tag) => rig.editBlob(rig.layerOf(tag), () => {})},
  {name: 'missing manifest', run: (rig, tag) => rig.editBlob(rig.entryOf(tag).digest, () => {})},
  {
    name: 'missing tag',
    run: (rig, tag) => rig.forgetTag(tag),
  },
  {
    name: "tag gone, taken by the registry's GC",
    run(rig, tag) {
      const {digest} = rig.entryOf(tag)
      rig.editBlob(rig.layerOf(tag), () => {})
      rig.editBlob(digest, () => {})
      rig.editIndex((entries) => entries.filter((entry) => entry.digest !== digest))
    },
  },
  {
    name: 'bit flip',
    run(rig, tag) {
      rig.editBlob(rig.layerOf(tag), (bytes) => flipBit(bytes, Math.floor(bytes.length / 2) * 8))
    },
  },
  {
    name: 'truncation',
    run(rig, tag) {
      rig.editBlob(rig.layerOf(tag), (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2)))
    },
  },
  {
    name: 'damaged manifest',
    run(rig, tag) {
      rig.editBlob(rig.entryOf(tag).digest, (bytes) => flipBit(bytes, Math.floor(bytes.length / 2) * 8))
    },
  },
  {
    name: 'wrong size in manifest',
    async run(rig, tag) {
      await editManifest(rig, tag, (text) => {
        const json = JSON.parse(text) as {layers: {size: number}[]}
        json.layers[0]!.size += 1
        return JSON.stringify(json)
      })
    },
  },
  {
    name: 'wrong media type in manifest',
    async run(rig, tag) {
      await editManifest(rig, tag, (text) => text.replaceAll(MEDIA_TYPE.imageManifest, MEDIA_TYPE.imageConfig))
    },
  },
]

/** Two tags that lead to each other's manifests. */
export function swapTags(rig: RepairRig, tag: string, other: string): void {
  const [a, b] = [rig.entryOf(tag), rig.entryOf(other)]
  rig.editIndex((entries) =>
    entries.map((entry) => {
      if (entry.digest === a.digest) return {...b, annotations: a.annotations}
      return entry.digest === b.digest ? {...a, annotations: b.annotations} : entry
    }),
  )
}
