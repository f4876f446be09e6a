import {type Mac, macFromBytes} from '../../src/kloset/mac.js'

/** A MAC that says which one it is. */
export function testMac(number: number): Mac {
  const bytes = Buffer.alloc(32, 0xab)
  bytes.writeUInt32BE(number)
  return macFromBytes(bytes)
}
