import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import type {Bundle} from '../../src/plugin/pack/bundle.js'

import {type PackageFiles, writeScriptPackage} from '../../src/plugin/pack/package-files.js'
import {createPlakarPackage} from '../../src/plugin/pack/plakar.js'
import {thisPlatform} from '../../src/plugin/pack/platform.js'
import {clearedWithScratch, scratchDir} from './hooks.js'

const NAME = 'oci'
const VERSION = 'v0.0.1'

let bundle: Promise<Bundle> | undefined

/** The plugin as one file, bundled from the source as it is now, once per process. */
export function pluginBundle(): Promise<Bundle> {
  bundle ??= makeBundle()
  return bundle!
}

/** The plugin's files as `plakar pkg create` takes them, in a folder of their own. */
export async function pluginFiles(dir = scratchDir('plugin')): Promise<PackageFiles> {
  return writeScriptPackage({
    bundle: await pluginBundle(),
    dir,
    name: NAME,
    node: process.execPath,
    version: VERSION,
  })
}

const packages = clearedWithScratch(new Map<string, Promise<string>>())

/**
 * Path of our plugin as a package (.ptar) for `startPlakar`, made from the source as it is now, once per file
 * of tests.
 * @param plakar path of the program
 */
export function pluginPackage(plakar: string): Promise<string> {
  let made = packages.get(plakar)
  if (!made) {
    made = makePackage(plakar)
    packages.set(plakar, made)
  }

  return made
}

async function makeBundle(): Promise<Bundle> {
  const script = new URL('../../scripts/bundle-plugin.js', import.meta.url).href
  const {bundlePlugin} = (await import(script)) as {bundlePlugin(): Promise<Omit<Bundle, 'starter'>>}
  const starter = fileURLToPath(new URL('../../bin/start.cjs', import.meta.url))
  return {...(await bundlePlugin()), starter}
}

async function makePackage(plakar: string): Promise<string> {
  const dir = scratchDir('plugin')
  const {manifest} = await pluginFiles(join(dir, 'files'))
  const platform = thisPlatform()
  return createPlakarPackage({manifest, name: NAME, outDir: dir, plakar, platform, version: VERSION})
}
