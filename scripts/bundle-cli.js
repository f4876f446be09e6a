/**
 * Bundles the command line into one file, `dist/kloset-oci.cjs`, which `bin/run.js` starts: less than half the time that
 * some four hundred files take. Each command in it is set up only when it is the one that runs.
 */
import {readdirSync, readFileSync} from 'node:fs'
import {basename, join, relative} from 'node:path'

import {bundle, ROOT} from './bundle.js'
import {runUsual} from './usual-runs.js'

const NAME = 'dist/kloset-oci'
const package_ = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** oclif takes the commands from this script, which is loaded already, instead of from files of their own. */
const oclif = {...package_.oclif, commands: {identifier: 'COMMANDS', strategy: 'explicit', target: `./${NAME}.cjs`}}

const commands = readdirSync(join(ROOT, 'src/commands'), {recursive: true})
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const id = path.replace(/(?:\/index)?\.ts$/, '').replaceAll('/', ':')
    return `get ${JSON.stringify(id)}() { return require(${JSON.stringify(`./src/commands/${path}`)}).default }`
  })

const entry = `
exports.COMMANDS = {${commands.join(',\n')}}
const {join} = require('node:path')
const {main} = require('./src/cli/main.ts')
void main({isRoot: true, pjson: ${JSON.stringify({...package_, oclif})}, root: join(__dirname, '..')})
`

/** A file's own address is that of its compiled form: what it looks for beside itself is there. */
const addresses = {
  name: 'addresses',
  setup({onLoad}) {
    onLoad({filter: /[/\\]src[/\\].*\.ts$/}, ({path}) => {
      const source = readFileSync(path, 'utf8')
      if (!source.includes('import.meta.url')) return
      const compiled = relative(join(ROOT, 'src'), path).replaceAll('\\', '/').replace(/ts$/, 'js')
      const address = `require('node:url').pathToFileURL(require('node:path').join(__dirname, ${JSON.stringify(compiled)})).href`
      return {contents: source.replaceAll('import.meta.url', address), loader: 'ts'}
    })
  },
}

const {script} = await bundle({
  name: NAME,
  options: {
    // Programs of the build, and native packages, which are found beside us at run time.
    external: ['@napi-rs/*', '@node-rs/*', 'esbuild', 'lz4-napi', 'postject', 'ts-node', 'typescript'],
    plugins: [addresses],
    stdin: {contents: entry, loader: 'js', resolveDir: ROOT, sourcefile: `${basename(NAME)}-entry.js`},
  },
})
await runUsual(script)
console.log(relative(ROOT, script))
