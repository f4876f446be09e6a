/**
 * Bundles the plugin's entry into one file, `dist/plugin/kloset-oci-plugin.cjs`: plakar starts a plugin for every
 * command, and one file is read faster than three hundred.
 */
import {relative} from 'node:path'
import {pathToFileURL} from 'node:url'

import {bundle, ROOT} from './bundle.js'

/** @returns {Promise<{licenses: string, script: string}>} the paths of the script and of its licences */
export async function bundlePlugin() {
  return bundle({name: 'dist/plugin/kloset-oci-plugin', options: {entryPoints: ['src/plugin/entry.ts']}})
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const {script} = await bundlePlugin()
  console.log(relative(ROOT, script))
}
