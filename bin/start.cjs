'use strict'
/**
 * Starts a script that was bundled into one file, with V8's compiled form of it where there is one: Node compiles anew
 * at every start, which takes longer than everything else a short command does.
 *
 * The compiled form lies beside the script (written by the build), or in the user's cache folder (written at the end of
 * the first run that had none). It holds the functions that were needed so far: all of them would take longer to load
 * than the missing ones take to compile. So a task that is new adds its own. The form is named after the script's digest,
 * Node's version and the processor, and carries its own digest; V8 looks as well whether it is its own. Without one, the
 * script is compiled as always. NODE_DISABLE_COMPILE_CACHE=1 leaves the cache folder alone.
 */
const {createHash} = require('node:crypto')
const {mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync} = require('node:fs')
const Module = require('node:module')
const {homedir} = require('node:os')
const {basename, dirname, join, resolve} = require('node:path')
const vm = require('node:vm')

const DIGEST_BYTES = 32
/** Compiled forms of one program that are kept. */
const KEPT_FORMS = 3
const LENGTH_BYTES = 4
/** Tasks that one form is made for, and how they are named. */
const MAX_TASKS = 64
const TASK = /^[a-z][a-z-]{0,20}$/

/**
 * @param {string} file path of a script of ASCII characters that requires what it loads, and never imports it
 * @param {{beside?: boolean, task?: string}} [how] `task` is a word for what it is to do this time; `beside` keeps the
 * compiled form beside the script instead of in the user's folder, as a build does
 */
exports.start = function (file, {beside = false, task: word = ''} = {}) {
  const task = TASK.test(word) ? word : ''
  exports.assureHome()
  const path = resolve(file)
  const bytes = readFileSync(path)
  const places = placesOf(path, bytes)
  const source = bytes.latin1Slice()
  const found = firstOf(places)
  const script = new vm.Script(Module.wrap(source), {cachedData: found?.data, filename: path})
  const place = beside ? places[0] : places[1]
  if (!found || script.cachedDataRejected) keepAtTheEnd(script, {place, tasks: [task]})
  else if (found.place === place && !found.tasks.includes(task) && found.tasks.length < MAX_TASKS) {
    keepAtTheEnd(script, {ifDone: true, place, tasks: [...found.tasks, task]})
  }

  const module = new Module(path)
  module.filename = path
  module.paths = Module._nodeModulePaths(dirname(path))
  Module._cache[path] = module
  script.runInThisContext()(module.exports, Module.createRequire(path), module, path, dirname(path))
  module.loaded = true
}

/**
 * Asked for the home folder of a user whom the system does not know, as containers have them, Node throws, and libraries
 * ask while they are loaded. Docker takes the root then.
 */
exports.assureHome = function () {
  try {
    homedir()
  } catch {
    process.env.HOME = '/'
  }
}

/** Beside the script, and the user's. */
function placesOf(path, bytes) {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_BYTES)
  const stem = basename(path, '.cjs')
  const name = `${stem}-${digest}.${process.version}-${process.arch}.code`
  const places = [join(dirname(path), name)]
  const {HOME, NODE_DISABLE_COMPILE_CACHE, XDG_CACHE_HOME} = process.env
  if (NODE_DISABLE_COMPILE_CACHE) return places
  const folder = XDG_CACHE_HOME || (HOME === '' ? '' : join(homedir(), '.cache'))
  if (folder.startsWith('/')) places.push(join(folder, 'kloset-oci', 'code', name))
  return places
}

function firstOf(places) {
  for (const place of places) {
    const found = read(place)
    if (found) return found
  }
}

/** What it runs is code: nobody else may have been able to write it. */
function read(place) {
  try {
    const {mode, uid} = statSync(place)
    const trusted = uid === 0 || uid === process.getuid?.()
    if (!trusted || (mode & 0o022) !== 0) return
    const bytes = readFileSync(place)
    const content = bytes.subarray(DIGEST_BYTES)
    if (!createHash('sha256').update(content).digest().equals(bytes.subarray(0, DIGEST_BYTES))) return
    const end = content.length - LENGTH_BYTES
    const start = end - content.readUInt32LE(end)
    return {data: content.subarray(0, start), place, tasks: JSON.parse(content.toString('utf8', start, end))}
  } catch {}
}

/** With the functions that this run needed, and so does the next one like it. */
function keepAtTheEnd(script, {ifDone = false, place, tasks}) {
  if (!place) return
  process.once('exit', (code) => {
    if (ifDone && code !== 0) return
    try {
      write(place, script.createCachedData(), tasks)
    } catch {
      // A folder that is not ours to write: the next start takes as long as this one.
    }
  })
}

function write(place, data, tasks) {
  const folder = dirname(place)
  mkdirSync(folder, {mode: 0o700, recursive: true})
  // Somebody else's, when one runs as root in a home that is not root's.
  if (process.getuid && statSync(folder).uid !== process.getuid()) return
  const temporary = `${place}.${process.pid}`
  const list = Buffer.from(JSON.stringify(tasks))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(list.length)
  const content = Buffer.concat([data, list, length])
  const digest = createHash('sha256').update(content).digest()
  writeFileSync(temporary, Buffer.concat([digest, content]), {flag: 'wx', mode: 0o600})
  renameSync(temporary, place)
  // Versions may be used side by side; the oldest forms of one program go.
  const [stem] = basename(place).split(/-[\da-f]{32}\./)
  const forms = readdirSync(folder)
    .filter(
      (entry) => entry.startsWith(`${stem}-`) && /^[\da-f]{32}\..*\.code(?:\.\d+)?$/.test(entry.slice(stem.length + 1)),
    )
    .map((entry) => ({path: join(folder, entry), time: statSync(join(folder, entry)).mtimeMs}))
    .sort((a, b) => b.time - a.time)
  for (const {path} of forms.slice(KEPT_FORMS)) unlinkSync(path)
}

if (require.main === module) {
  // As if the script itself had been started: `node start.cjs SCRIPT ARGUMENT...`
  process.argv.splice(1, 1)
  exports.start(process.argv[1])
}
