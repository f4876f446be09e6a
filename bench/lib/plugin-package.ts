import {build} from 'esbuild'
import {chmodSync, copyFileSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {startPlakar} from '../../test/helpers/plakar.js'

const MAIN = new URL('../../src/plugin/main.ts', import.meta.url).pathname

export interface PackageOptions {
  readonly folder: string
  /** What Node gets before the program, for profiling. */
  readonly nodeArgs?: readonly string[] | undefined
  readonly plakar: string
}

/** Bundles the plugin of this checkout and packs it with plakar. @returns path of the package */
export async function packPlugin({folder, nodeArgs = [], plakar}: PackageOptions): Promise<string> {
  const work = join(folder, 'package')
  mkdirSync(work)
  await build({
    bundle: true,
    format: 'cjs',
    logLevel: 'error',
    minifySyntax: true,
    outfile: join(work, 'plugin.cjs'),
    platform: 'node',
    stdin: {contents: `import {runPlugin} from ${JSON.stringify(MAIN)}\nrunPlugin()`, resolveDir: folder},
    target: 'node20',
  })
  const program = [process.execPath, ...nodeArgs].map((word) => `'${word}'`).join(' ')
  writeFileSync(join(work, 'oci'), `#!/bin/sh\nexec ${program} "$(dirname "$0")/plugin.cjs"\n`)
  chmodSync(join(work, 'oci'), 0o755)
  writeFileSync(
    join(work, 'manifest.yaml'),
    [
      'name: oci',
      'display_name: kloset-oci',
      'description: Kloset stores in OCI registries',
      'version: v0.0.1',
      'connectors:',
      '  - type: storage',
      '    executable: oci',
      '    homepage: https://example.com',
      '    license: ISC',
      '    protocols: [oci]',
      '    extra_files: [plugin.cjs]',
      '',
    ].join('\n'),
  )
  const packer = await startPlakar(plakar)
  try {
    const packed = await packer.run(['pkg', 'create', join(work, 'manifest.yaml'), 'v0.0.1'])
    const made = readdirSync(packer.home).find((name) => name.endsWith('.ptar'))
    if (made === undefined) throw new Error(`plakar pkg create made no package: ${packed.stdout}${packed.stderr}`)
    const path = join(folder, made)
    copyFileSync(join(packer.home, made), path)
    return path
  } finally {
    await packer.close()
  }
}
