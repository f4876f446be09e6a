/**
 * Writes what is generated from the compiled commands: `oclif.manifest.json`, `docs/commands/*.md` and the table in
 * `docs/exit-codes.md`. With --check it writes nothing and fails when a file is not what it would write.
 */
import {Plugin} from '@oclif/core'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {basename, join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {EXIT_CODES, EXIT_MEANINGS} from '../dist/exit-codes.js'
import {COMMON, PRODUCTS, TAG_RULES, TOPICS} from '../dist/registry/products.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const check = process.argv.includes('--check')

const manifest = await readManifest()
const files = new Map([
  ['docs/commands/README.md', index()],
  ['docs/exit-codes.md', exitCodes(readFileSync(join(root, 'docs/exit-codes.md'), 'utf8'))],
  ['docs/registries.md', registries(readFileSync(join(root, 'docs/registries.md'), 'utf8'))],
  ['oclif.manifest.json', `${JSON.stringify(manifest, undefined, 2)}\n`],
  ...Object.values(manifest.commands).map((command) => [`docs/commands/${fileOf(command)}`, page(command)]),
])
const stale = readdirSync(join(root, 'docs/commands')).filter((name) => !files.has(`docs/commands/${name}`))
const drifted = [...files].filter(
  ([path, text]) => !existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== text,
)

if (check) {
  for (const [path] of drifted) console.error(`${path}: not what the commands say`)
  for (const name of stale) console.error(`docs/commands/${name}: no such command`)
  if (drifted.length + stale.length > 0) {
    console.error('next: npm run docs')
    process.exitCode = 1
  }
} else {
  mkdirSync(join(root, 'docs/commands'), {recursive: true})
  for (const [path, text] of drifted) writeFileSync(join(root, path), text)
  for (const name of stale) rmSync(join(root, 'docs/commands', basename(name)))
}

/** The manifest that lets the program start without loading every command. */
async function readManifest() {
  const plugin = new Plugin({
    errorOnManifestCreate: true,
    ignoreManifest: true,
    respectNoCacheDefault: true,
    root,
    type: 'core',
  })
  await plugin.load()
  const {commands, version} = plugin.manifest
  const sorted = Object.fromEntries(Object.entries(commands).sort(([left], [right]) => (left < right ? -1 : 1)))
  return {commands: sorted, version}
}

function fileOf(command) {
  return `${command.id.replaceAll(':', '-')}.md`
}

function nameOf(command) {
  return `kloset-oci ${command.id.replaceAll(':', ' ')}`
}

function index() {
  const rows = Object.values(manifest.commands)
    .filter((command) => !command.hidden)
    .map((command) => `| [${nameOf(command)}](${fileOf(command)}) | ${command.summary} |`)
  return ['# Commands', '', '| command | what it does |', '|---|---|', ...rows, ''].join('\n')
}

function page(command) {
  const [text, exits] = command.description.split('\n\nExit codes:\n')
  const args = Object.values(command.args ?? {})
  return [
    `# ${nameOf(command)}`,
    '',
    sentence(command.summary),
    '',
    '```',
    usage(command, args),
    '```',
    '',
    text.replaceAll('\n', ' '),
    '',
    ...table(
      'Arguments',
      args.map((arg) => [`\`${arg.name.toUpperCase()}\``, arg.description]),
    ),
    ...flagTables(command),
    ...examples(command),
    ...table(
      'Exit codes',
      (exits ?? '')
        .split('\n')
        .filter(Boolean)
        .map((line) => line.trim().split(/ {2,}/)),
    ),
  ]
    .join('\n')
    .replace(/\n+$/, '\n')
}

function usage(command, args) {
  const words = args.map((arg) => {
    const name = arg.name.toUpperCase() + (arg.multiple ? '...' : '')
    return arg.required ? name : `[${name}]`
  })
  return [nameOf(command), ...words, '[flags]'].join(' ')
}

function flagTables(command) {
  const groups = new Map()
  for (const flag of Object.values(command.flags)) {
    if (flag.hidden) continue
    const group = flag.helpGroup ?? ''
    groups.set(group, [...(groups.get(group) ?? []), flag])
  }

  const order = ['', 'REGISTRY', 'OUTPUT']
  const names = [...groups.keys()].sort((left, right) => order.indexOf(left) - order.indexOf(right))
  return names.flatMap((name) => {
    const title = name === '' ? 'Flags' : `${sentence(name.toLowerCase()).slice(0, -1)} flags`
    return table(
      title,
      groups.get(name).map((flag) => [`\`${flagText(flag)}\``, flagDescription(flag)]),
    )
  })
}

function flagText(flag) {
  const long = flag.type === 'boolean' && flag.allowNo ? `--[no-]${flag.name}` : `--${flag.name}`
  const value = flag.type === 'boolean' ? '' : ` ${flag.helpValue ?? flag.name.toUpperCase()}`
  return `${flag.char ? `-${flag.char}, ` : ''}${long}${value}`
}

function flagDescription(flag) {
  const extras = []
  if (flag.options) extras.push(`one of ${flag.options.join(', ')}`)
  if (flag.default !== undefined && flag.type !== 'boolean') extras.push(`default ${flag.default}`)
  return extras.length > 0 ? `${flag.description} (${extras.join('; ')})` : flag.description
}

function examples(command) {
  if (!command.examples?.length) return []
  const lines = command.examples.flatMap(({command: line, description}) => [
    `# ${description}`,
    line.replaceAll('<%= config.bin %>', 'kloset-oci').replaceAll('<%= command.id %>', command.id.replaceAll(':', ' ')),
  ])
  return ['## Examples', '', '```sh', ...lines, '```', '']
}

function table(title, rows) {
  if (rows.length === 0) return []
  const cells = rows.map(([left, right]) => `| ${escape(left)} | ${escape(right)} |`)
  return [`## ${title}`, '', '| | |', '|---|---|', ...cells, '']
}

function escape(text) {
  return text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ')
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** The written text of the page, with the tables between its marks made anew. */
function exitCodes(text) {
  const codes = Object.entries(EXIT_MEANINGS).map(([status, meaning]) => {
    const errors = Object.entries(EXIT_CODES)
      .filter(([, own]) => String(own) === status)
      .map(([code]) => `\`${code}\``)
    return `| ${status} | ${meaning} | ${errors.join(', ')} |`
  })
  const generated = ['| status | meaning | error codes |', '|---|---|---|', ...codes].join('\n')
  return text.replace(/(<!-- table -->\n)[\S\s]*(<!-- \/table -->)/, `$1${generated}\n$2`)
}

/** The written text of the page, with what `src/registry/products.ts` says between its marks. */
function registries(text) {
  const rules = Object.entries(TAG_RULES).map(
    ([name, rule]) => `| ${name} | \`${rule.replaceAll('|', String.raw`\|`)}\` |`,
  )
  const products = PRODUCTS.flatMap(({advice: own, id, name, uncertain}) => [
    `## ${name}`,
    '',
    `\`kloset-oci registry-gc-guard ${id}\``,
    '',
    ...advice(own),
    ...(uncertain.length > 0 ? ['**not certain**', '', ...uncertain.map((line) => `- ${markdown(line)}`), ''] : []),
  ])
  const generated = ['| tags | rule |', '|---|---|', ...rules, '', '## Everywhere', '', ...advice(COMMON), ...products]
  return text.replace(
    /(<!-- products -->\n)[\S\s]*(<!-- \/products -->)/,
    (_, begin, end) => `${begin}\n${generated.join('\n')}\n${end}`,
  )
}

function advice(table) {
  return TOPICS.flatMap((topic) => [`**${topic}**`, '', ...table[topic].map((line) => `- ${markdown(line)}`), ''])
}

/** Text as it is: asterisks, brackets and pipes of rules are none of Markdown's. */
function markdown(text) {
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll(/[*_<>[\]|]/g, String.raw`\$&`)))
    .join('')
}
