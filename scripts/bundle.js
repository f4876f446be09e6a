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
    plugins: [axiosParts, withoutUnused, lazySegmenter, plainOrder, ...plugins],
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
 * What packages load at their start and is never used here; together it takes about half of the time that all of them
 * do. Of axios: forms (with the MIME types of the world), redirects and tunnels (ours are in src/registry/transport),
 * HTTP/2. Of oclif: its look for commands in folders, as ours are listed, and whether Node is new enough for
 * oclif, which it is where it is new enough for us.
 */
const UNUSED = {
  '@oclif/core': {
    semver: 'exports.satisfies = () => true',
    tinyglobby: 'exports.glob = async () => []',
  },
  axios: {
    'follow-redirects': 'module.exports = {}',
    'form-data': 'module.exports = class FormData {}',
    http2: 'module.exports = {}',
    'https-proxy-agent': 'module.exports = class HttpsProxyAgent {}',
  },
}

const withoutUnused = {
  name: 'without-unused',
  setup({onLoad, onResolve}) {
    const entries = Object.entries(UNUSED)
    onResolve({filter: /.*/}, (from) => {
      const importer = from.importer.replaceAll('\\', '/')
      const [, parts] = entries.find(([name]) => importer.includes(`/node_modules/${name}/`)) ?? []
      return parts && Object.hasOwn(parts, from.path)
        ? {namespace: 'unused', path: from.path, pluginData: parts[from.path]}
        : undefined
    })
    onLoad({filter: /.*/, namespace: 'unused'}, ({pluginData}) => ({contents: pluginData}))
  },
}

/** Of axios itself no more than what is imported: all that stands before its part that sends takes as long to load. */
const AXIOS_PARTS = `
import http from 'axios/lib/adapters/http.js'
export {default as AxiosHeaders} from 'axios/unsafe/core/AxiosHeaders.js'
export const getAdapter = () => http
`
const axiosParts = {
  name: 'axios-parts',
  setup({onLoad, onResolve}) {
    onResolve({filter: /^axios$/}, ({path}) => ({namespace: 'parts', path}))
    onLoad({filter: /.*/, namespace: 'parts'}, () => ({contents: AXIOS_PARTS, resolveDir: ROOT}))
  },
}

/** The width of a text is rarely asked for, and what is needed to tell it takes longer to load than all around it. */
const EAGER_SEGMENTER = 'const segmenter = new Intl.Segmenter();'
const lazySegmenter = {
  name: 'lazy-segmenter',
  setup({onLoad}) {
    onLoad({filter: /[/\\]string-width[/\\]index\.js$/}, ({path}) => {
      const [before, after] = readFileSync(path, 'utf8').split(EAGER_SEGMENTER)
      // An older string-width, which others use, has none; ours must not get one in other words unnoticed.
      if (after === undefined && before.includes('Segmenter'))
        throw new Error(`${path}: its segmenter is made otherwise`)
      const lazy = 'let made; const segmenter = {segment: (text) => (made ??= new Intl.Segmenter()).segment(text)}'
      return {contents: after === undefined ? before : `${before}${lazy}${after}`}
    })
  },
}

/** Names of commands are plain ASCII: to order them as a language would takes longer to begin than all of oclif. */
const LANGUAGE_ORDER = 'a.id.localeCompare(b.id)'
const plainOrder = {
  name: 'plain-order',
  setup({onLoad}) {
    onLoad({filter: /[/\\]@oclif[/\\]core[/\\]lib[/\\]config[/\\]plugin\.js$/}, ({path}) => {
      const [before, after] = readFileSync(path, 'utf8').split(LANGUAGE_ORDER)
      if (after === undefined) throw new Error(`${path}: its commands are put in order otherwise`)
      return {contents: `${before}(a.id < b.id ? -1 : 1)${after}`}
    })
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
