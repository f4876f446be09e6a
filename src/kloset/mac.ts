import {InvalidArgumentError} from '../errors.js'

declare const macBrand: unique symbol

/** A Kloset MAC as 64 hex digits in lower case: the name of an object in a store. */
export type Mac = string & {readonly [macBrand]: true}

export const MAC_BYTES = 32

const FORM = /^[\da-f]{64}$/

export function isMac(value: string): value is Mac {
  return FORM.test(value)
}

/** @throws InvalidArgumentError unless `value` is 64 hex digits (upper case is taken and lowered) */
export function parseMac(value: string): Mac {
  const lower = value.toLowerCase()
  if (isMac(lower)) return lower
  throw new InvalidArgumentError(`not a MAC: "${value.slice(0, 80)}"`, {
    suggestions: ['A MAC is 64 hex digits, as `ls` prints it.'],
  })
}

export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== MAC_BYTES) throw new InvalidArgumentError(`a MAC has ${MAC_BYTES} bytes, not ${bytes.length}`)
  return Buffer.from(bytes).toString('hex') as Mac
}

export function macToBytes(mac: Mac): Buffer {
  return Buffer.from(mac, 'hex')
}
