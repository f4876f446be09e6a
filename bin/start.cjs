'use strict'
/**
 * Starts a script that was bundled into one file, with V8's compiled form of it where there is one: Node compiles anew
 * at every start, which takes longer than everything else a short command does.
 *
 * The compiled form lies beside the script (written by the build), or in the user's cache folder (written at the end of
 * the first run that had none). It is named after the script's digest, Node's version and the processor, and carries its
 * own digest; V8 looks as well whether it is its own. Without one, the script is compiled as always.
 * NODE_DISABLE_COMPILE_CACHE=1 leaves the cache folder alone.
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

/** @param {string} file path of a script of ASCII characters that requires what it loads, and never imports it */
exports.start = function (file) {
  const path = resolve(file)
  const bytes = readFileSync(path)
  const places = placesOf(path, bytes)
  const source = bytes.latin1Slice()
  const cachedData = firstOf(places)
  const script = compile(path, source, cachedData)
  if (!cachedData || script.cachedDataRejected) keepAtTheEnd(script, places)

  const module = new Module(path)
  module.filename = path
  module.paths = Module._nodeModulePaths(dirname(path))
  Module._cache[path] = module
  script.runInThisContext()(module.exports, Module.createRequire(path), module, path, dirname(path))
  module.loaded = true
}

/**
 * Writes the compiled form beside the script, of every function in it.
 * @param {string} file path of a script of ASCII characters
 */
exports.compileAhead = function (file) {
  const {setFlagsFromString} = require('node:v8')
  const path = resolve(file)
  const bytes = readFileSync(path)
  const [beside] = placesOf(path, bytes)
  setFlagsFromString('--no-lazy')
  const script = compile(path, bytes.latin1Slice())
  // Flags are part of what V8 compares.
  setFlagsFromString('--lazy')
  write(beside, script.createCachedData())
}

function compile(path, source, cachedData) {
  return new vm.Script(Module.wrap(source), {cachedData, filename: path})
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
    const data = bytes.subarray(DIGEST_BYTES)
    return createHash('sha256').update(data).digest().equals(bytes.subarray(0, DIGEST_BYTES)) ? data : undefined
  } catch {}
}

/** With the functions that this run needed, and so does the next one like it. */
function keepAtTheEnd(script, [, place]) {
  if (!place) return
  process.once('exit', () => {
    try {
      write(place, script.createCachedData())
    } catch {
      // A folder that is not ours to write: the next start takes as long as this one.
    }
  })
}

function write(place, data) {
  const folder = dirname(place)
  mkdirSync(folder, {mode: 0o700, recursive: true})
  // Somebody else's, when one runs as root in a home that is not root's.
  if (process.getuid && statSync(folder).uid !== process.getuid()) return
  const temporary = `${place}.${process.pid}`
  const digest = createHash('sha256').update(data).digest()
  writeFileSync(temporary, Buffer.concat([digest, data]), {flag: 'wx', mode: 0o600})
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
