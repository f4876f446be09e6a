/**
 * A process of its own that pushes objects into a layout: `layout-writer.ts DIR PREFIX COUNT`.
 * With COUNT 0 it takes the lock, says so, and hangs until it is killed.
 */
import {digestOf} from '../../../src/registry/digest.js'
import {LayoutFiles} from '../../../src/registry/layout/files.js'
import {LayoutLock} from '../../../src/registry/layout/lock.js'
import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'

const [dir = '', prefix = '', count = '0'] = process.argv.slice(2)

async function main(): Promise<void> {
  if (count === '0') {
    await new LayoutLock(new LayoutFiles(dir, {durable: false})).acquire()
    process.stdout.write('held\n')
    setInterval(() => {}, 1000)
    return
  }

  const layout = await openLayout(dir, {durable: false})
  const config = {digest: digestOf(Buffer.from('{}')), mediaType: MEDIA_TYPE.imageConfig, size: 2}
  for (let index = 0; index < Number(count); index++) {
    const json = {annotations: {at: `${prefix}-${index}`}, config, layers: [], mediaType: MEDIA_TYPE.imageManifest}
    const manifest = {bytes: Buffer.from(JSON.stringify(json)), mediaType: MEDIA_TYPE.imageManifest}
    await layout.manifests.push(manifest, {tag: `${prefix}-${index}`})
    if (index % 3 === 2) await layout.manifests.untag(`${prefix}-${index - 1}`)
  }

  await layout.close()
}

await main()
