import {build} from 'esbuild'
import {mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const ROOT = fileURLToPath(new URL('../', import.meta.url))

/**
 * Writes a program as one script of ASCII, and beside it the licences of what went in. Both appear whole.
 * @param {{name: string, options: import('esbuild').BuildOptions}} program where it goes, without the ending, and what it is
 * @returns {Promise<{licenses: string, script: string}>} their paths
 */
export async function bundle({name, options: {plugins = [], ...options}}) {
  const script = join(ROOT, `${name}.cjs`)
  const licenses = join(ROOT, `${name}.LICENSES.txt`)
  const result = await build({
    absWorkingDir: ROOT,
    bundle: true,
    charset: 'ascii',
    format: 'cjs',
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    minifySyntax: true,
    minifyWhitespace: true,
    outfile: script,
    platform: 'node',
    plugins: [withoutUnused, ...plugins],
    // A script that is compiled by `bin/start.cjs` cannot import.
    supported: {'dynamic-import': false},
    target: 'node20.19',
    write: false,
    ...options,
  })
  // `import.meta` in a script, a package that was not found: what is only a warning would be a broken program.
  if (result.warnings.length > 0) throw new Error(result.warnings.map(({text}) => text).join('\n'))
  replace(script, result.outputFiles[0].contents)
  replace(licenses, licensesOf(Object.keys(result.metafile.inputs)))
  return {licenses, script}
}

/**
 * What axios loads at its start and is never used for: forms (with the MIME types of the world), redirects and tunnels
 * (ours are in src/registry/transport), HTTP/2. Together they take about half of the time that all of it does.
 */
const UNUSED = {
  'follow-redirects': 'module.exports = {}',
  'form-data': 'module.exports = class FormData {}',
  http2: 'module.exports = {}',
  'https-proxy-agent': 'module.exports = class HttpsProxyAgent {}',
}

const withoutUnused = {
  name: 'without-unused',
  setup({onLoad, onResolve}) {
    const filter = new RegExp(`^(?:${Object.keys(UNUSED).join('|')})$`)
    onResolve({filter}, ({importer, path}) =>
      /[/\\]node_modules[/\\]axios[/\\]/.test(importer) ? {namespace: 'unused', path} : undefined,
    )
    onLoad({filter: /.*/, namespace: 'unused'}, ({path}) => ({contents: UNUSED[path]}))
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
