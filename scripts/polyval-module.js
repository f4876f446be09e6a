/**
 * Builds the WebAssembly module behind `src/kloset/codec/polyval.ts` and writes it, as base64, into
 * `src/kloset/codec/polyval-module.ts`. Run it after a change here: `node scripts/polyval-module.js`.
 * A unit test builds it again and compares.
 *
 * POLYVAL multiplies by one fixed element H of GF(2^128) per key. WebAssembly has no carry-less multiplication, so the
 * products of H with every value of every window of WINDOW bits are laid in a table once per key, and a multiplication
 * is one load and one xor a window. Six bits measured fastest: 22 windows of 64 entries are 22 KiB, which stays in a
 * first-level cache, and the table is built in about a microsecond.
 * @see https://www.rfc-editor.org/rfc/rfc8452#section-3
 */
import {writeFileSync} from 'node:fs'
import {pathToFileURL} from 'node:url'
import createWabt from 'wabt'

const WINDOW = 6
const ENTRIES = 2 ** WINDOW
const ENTRY_BYTES = 16
const WINDOW_BYTES = ENTRIES * ENTRY_BYTES
const HALF_BITS = 64
const WINDOWS_PER_HALF = Math.ceil(HALF_BITS / WINDOW)
const WINDOWS = 2 * WINDOWS_PER_HALF

/** Where things lie in the module's memory; `polyval.ts` gets these numbers from the generated file. */
const LAYOUT = {
  accumulator: 16,
  counter: 32,
  data: 0x2_00_00,
  key: 0,
  keystream: 0x1_00_00,
  segment: 0x1_00_00,
}
const TABLE = 0x10_00
const PAGES = 3

const TARGET = new URL('../src/kloset/codec/polyval-module.ts', import.meta.url)

/** The table's address of window `index`'s entry for the six bits of `half` that begin at `bit`. */
function load(half, bit, index) {
  const address = TABLE + index * WINDOW_BYTES
  const mask = (ENTRIES - 1) * ENTRY_BYTES
  // An entry is 16 bytes: the bits are wanted four places up.
  const shift = bit - Math.log2(ENTRY_BYTES)
  const shifted =
    shift < 0
      ? `(i64.shl (local.get ${half}) (i64.const ${-shift}))`
      : `(i64.shr_u (local.get ${half}) (i64.const ${shift}))`
  return `(v128.load offset=${address} (i32.and (i32.wrap_i64 ${shifted}) (i32.const ${mask})))`
}

/** The product of H and the element whose halves are in $low and $high: four chains of xors, so that they overlap. */
function product() {
  const terms = []
  for (const [half, first] of [
    ['$low', 0],
    ['$high', WINDOWS_PER_HALF],
  ]) {
    for (let bit = 0; bit < HALF_BITS; bit += WINDOW) terms.push(load(half, bit, first + bit / WINDOW))
  }

  const chains = ['', '', '', '']
  for (const [index, term] of terms.entries()) {
    const chain = chains[index % 4]
    chains[index % 4] = chain ? `(v128.xor ${chain} ${term})` : term
  }

  return `(v128.xor (v128.xor ${chains[0]} ${chains[1]}) (v128.xor ${chains[2]} ${chains[3]}))`
}

export function source() {
  return `(module
  (memory (export "memory") ${PAGES} ${PAGES})

  ;; Lays the table of the key at ${LAYOUT.key} and clears the accumulator.
  ;; POLYVAL's product of a and H is a * H * x^-128, so the basis runs from H * x^-1 (bit 127) down to H * x^-128 (bit 0).
  (func (export "init")
    (local $low i64) (local $high i64) (local $carry i64)
    (local $bit i32) (local $window i32) (local $filled i32) (local $entry i32) (local $top v128)
    (local.set $low (i64.load offset=${LAYOUT.key} (i32.const 0)))
    (local.set $high (i64.load offset=${LAYOUT.key + 8} (i32.const 0)))
    (local.set $bit (i32.const 127))
    (loop $basis
      ;; times x^-1: shift right; when x^0 falls out, add x^127 + x^126 + x^125 + x^120
      (local.set $carry (i64.and (local.get $low) (i64.const 1)))
      (local.set $low (i64.or (i64.shr_u (local.get $low) (i64.const 1)) (i64.shl (local.get $high) (i64.const 63))))
      (local.set $high (i64.xor
        (i64.shr_u (local.get $high) (i64.const 1))
        (i64.and (i64.sub (i64.const 0) (local.get $carry)) (i64.const 0xe100000000000000))))
      (v128.store offset=${TABLE}
        (i32.add
          (i32.mul
            (i32.add
              (i32.div_u (i32.and (local.get $bit) (i32.const 63)) (i32.const ${WINDOW}))
              (i32.mul (i32.shr_u (local.get $bit) (i32.const 6)) (i32.const ${WINDOWS_PER_HALF})))
            (i32.const ${WINDOW_BYTES}))
          (i32.shl
            (i32.const ${ENTRY_BYTES})
            (i32.rem_u (i32.and (local.get $bit) (i32.const 63)) (i32.const ${WINDOW}))))
        (i64x2.replace_lane 1 (i64x2.splat (local.get $low)) (local.get $high)))
      (local.set $bit (i32.sub (local.get $bit) (i32.const 1)))
      (br_if $basis (i32.ge_s (local.get $bit) (i32.const 0))))
    ;; every other entry is the sum of the one at its highest bit and one laid before
    (local.set $window (i32.const 0))
    (loop $windows
      (v128.store offset=${TABLE} (local.get $window) (v128.const i64x2 0 0))
      (local.set $filled (i32.const ${2 * ENTRY_BYTES}))
      (loop $doubling
        (local.set $top (v128.load offset=${TABLE} (i32.add (local.get $window) (local.get $filled))))
        (local.set $entry (i32.const ${ENTRY_BYTES}))
        (loop $sums
          (v128.store offset=${TABLE}
            (i32.add (i32.add (local.get $window) (local.get $filled)) (local.get $entry))
            (v128.xor (local.get $top) (v128.load offset=${TABLE} (i32.add (local.get $window) (local.get $entry)))))
          (local.set $entry (i32.add (local.get $entry) (i32.const ${ENTRY_BYTES})))
          (br_if $sums (i32.lt_u (local.get $entry) (local.get $filled))))
        (local.set $filled (i32.shl (local.get $filled) (i32.const 1)))
        (br_if $doubling (i32.lt_u (local.get $filled) (i32.const ${WINDOW_BYTES}))))
      (local.set $window (i32.add (local.get $window) (i32.const ${WINDOW_BYTES})))
      (br_if $windows (i32.lt_u (local.get $window) (i32.const ${WINDOWS * WINDOW_BYTES}))))
    (v128.store offset=${LAYOUT.accumulator} (i32.const 0) (v128.const i64x2 0 0)))

  ;; Takes $blocks blocks of 16 bytes at $at into the accumulator.
  (func (export "absorb") (param $at i32) (param $blocks i32)
    (local $sum v128) (local $low i64) (local $high i64)
    (local.set $sum (v128.load offset=${LAYOUT.accumulator} (i32.const 0)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $blocks)))
        (local.set $sum (v128.xor (local.get $sum) (v128.load (local.get $at))))
        (local.set $low (i64x2.extract_lane 0 (local.get $sum)))
        (local.set $high (i64x2.extract_lane 1 (local.get $sum)))
        (local.set $sum ${product()})
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
        (br $next)))
    (v128.store offset=${LAYOUT.accumulator} (i32.const 0) (local.get $sum)))

  ;; Writes $blocks counter blocks at $at: the block at ${LAYOUT.counter}, its first 32 bits counting up from $start.
  (func (export "counters") (param $at i32) (param $blocks i32) (param $start i32)
    (local $block v128)
    (local.set $block (v128.load offset=${LAYOUT.counter} (i32.const 0)))
    (local.set $start (i32.add (local.get $start) (i32x4.extract_lane 0 (local.get $block))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $blocks)))
        (v128.store (local.get $at) (i32x4.replace_lane 0 (local.get $block) (local.get $start)))
        (local.set $start (i32.add (local.get $start) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
        (br $next))))

  ;; Adds $blocks blocks at $from to those at $to.
  (func (export "xor") (param $to i32) (param $from i32) (param $blocks i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $blocks)))
        (v128.store (local.get $to) (v128.xor (v128.load (local.get $to)) (v128.load (local.get $from))))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
        (br $next)))))
`
}

/** The text of the generated file. */
export async function generate() {
  const wabt = await createWabt()
  const parsed = wabt.parseWat('polyval.wat', source(), {simd: true})
  const base64 = Buffer.from(parsed.toBinary({}).buffer).toString('base64')
  parsed.destroy()
  const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}',`)
  const layout = Object.entries(LAYOUT).map(
    ([name, address]) => `  ${name}: ${address.toLocaleString('en').replaceAll(',', '_')},`,
  )
  return [
    '/** Generated by scripts/polyval-module.js: do not edit. */',
    '',
    '/** Addresses in the memory of the module; a segment is what it works on at once. */',
    'export const LAYOUT = {',
    ...layout,
    '} as const',
    '',
    'export const MODULE = [',
    ...lines,
    "].join('')",
    '',
  ].join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(TARGET, await generate())
