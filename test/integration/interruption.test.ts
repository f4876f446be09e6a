import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync} from 'node:fs'
import {join} from 'node:path'

import {cleanEnv} from '../helpers/cli.js'
import {scratchDir} from '../helpers/hooks.js'

/** Holds a lock of the library behind layouts, and does not end when it is asked to. */
const STUBBORN = `
  import {lock} from 'proper-lockfile'
  import {Interruption} from './dist/cli/signals.js'
  const {signal} = new Interruption()
  signal.addEventListener('abort', () => console.log('asked'))
  await lock(process.argv[1], {realpath: false})
  console.log('ready')
  setInterval(() => {}, 1000)
`

describe('signals', () => {
  for (const [first, second] of [
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
    ['SIGHUP', 'SIGTERM'],
  ] as const) {
    it(`${first} asks, ${second} then ends it, and what it had locked is free`, async () => {
      const file = join(scratchDir('locked'), 'file')
      const child = spawn(process.execPath, ['--input-type=module', '-e', STUBBORN, file], {
        env: cleanEnv(),
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(child, 'exit')
      expect(String(await once(child.stdout, 'data'))).to.equal('ready\n')
      expect(existsSync(`${file}.lock`)).to.equal(true)
      child.kill(first)
      expect(String(await once(child.stdout, 'data'))).to.equal('asked\n')
      expect(existsSync(`${file}.lock`)).to.equal(true)
      child.kill(second)
      expect(await ended).to.deep.equal([130, null])
      expect(existsSync(`${file}.lock`)).to.equal(false)
    })
  }
})
