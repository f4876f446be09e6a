/**
 * Bundles the plugin's entry into one file, `dist/plugin/kloset-oci-plugin.cjs`: plakar starts a plugin for every
 * command, and one file is read faster than three hundred. Beside it lie the licences of what went in.
 */
import {build} from 'esbuild'
import {mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {fileURLToPath, pathToFileURL} from 'node:url'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const OUTPUT = join(ROOT, 'dist/plugin/kloset-oci-plugin.cjs')
const LICENSES = join(ROOT, 'dist/plugin/kloset-oci-plugin.LICENSES.txt')

/**
 * Bundles from source: nothing has to be compiled before. The files appear whole.
 * @returns {Promise<{licenses: string, script: string}>} their paths
 */
export async function bundlePlugin() {
  const result = await build({
    absWorkingDir: ROOT,
    bundle: true,
    entryPoints: ['src/plugin/entry.ts'],
    format: 'cjs',
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    minifySyntax: true,
    minifyWhitespace: true,
    outfile: OUTPUT,
    platform: 'node',
    plugins: [withoutForms],
    target: 'node20.19',
    write: false,
  })
  // `import.meta` in a script, a package that was not found: what is only a warning would be a broken plugin.
  if (result.warnings.length > 0) throw new Error(result.warnings.map(({text}) => text).join('\n'))
  replace(OUTPUT, result.outputFiles[0].contents)
  replace(LICENSES, licensesOf(Object.keys(result.metafile.inputs)))
  return {licenses: LICENSES, script: OUTPUT}
}

/** No form is ever sent; what axios would encode one with brings the MIME types of the world. */
const withoutForms = {
  name: 'without-forms',
  setup({onLoad, onResolve}) {
    onResolve({filter: /^form-data$/}, () => ({namespace: 'without-forms', path: 'form-data'}))
    onLoad({filter: /.*/, namespace: 'without-forms'}, () => ({contents: 'module.exports = class FormData {}'}))
  },
}

function replace(path, contents) {
  mkdirSync(dirname(path), {recursive: true})
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, contents)
  renameSync(temporary, path)
}

function licensesOf(inputs) {
  const folders = new Set()
  for (const input of inputs) {
    const match = /^(?<folder>.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (match) folders.add(match.groups.folder)
  }

  const parts = [['kloset-oci', readFileSync(join(ROOT, 'LICENSE'), 'utf8')]]
  for (const folder of [...folders].sort()) {
    const {license, name, version} = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'))
    const file = readdirSync(join(ROOT, folder)).find((entry) => /^(?:licen[cs]e|copying)/i.test(entry))
    const text = file === undefined ? `Licence: ${license}` : readFileSync(join(ROOT, folder, file), 'utf8')
    parts.push([`${name} ${version}`, text])
  }

  return parts.map(([name, text]) => `${name}\n${'='.repeat(name.length)}\n\n${text.trim()}\n`).join('\n\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const {script} = await bundlePlugin()
  console.log(`${relative(ROOT, script)}: ${readFileSync(script).length} bytes`)
}
