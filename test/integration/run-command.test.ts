import {runCommand} from '@oclif/test'
import {expect} from 'chai'
import {fileURLToPath} from 'node:url'

import {cli} from '../helpers/cli.js'
import {goldenCopy} from '../helpers/hooks.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const exitOf = (error: unknown) => (error as undefined | {oclif?: {exit?: number}})?.oclif?.exit

/** In this process, as a program that embeds the commands would run them. */
describe('commands in one process', () => {
  let status: typeof process.exitCode

  beforeEach(() => {
    status = process.exitCode
  })

  afterEach(() => {
    process.exitCode = status
  })

  it('return their typed result', async () => {
    const {error, result, stdout} = await runCommand<{count: number; counts: object}>(
      ['ls', `oci-layout:${goldenCopy('plaintext')}`],
      {root},
    )
    expect(error).to.equal(undefined)
    expect(result).to.deep.include({count: 7, counts: {config: 1, foreign: 0, lock: 0, packfile: 4, state: 2}})
    expect(stdout.trim().split('\n')).to.have.length(7)
  })

  it('throw an error that bears its exit status', async () => {
    const {error, stdout} = await runCommand(['ls', 'oci-layout:/nowhere/at/all'], {root})
    expect(exitOf(error)).to.equal(66)
    expect((error as {code?: string}).code).to.equal('NOT_FOUND')
    expect(stdout).to.equal('')
  })

  it('bear the parser`s status for a command line that is not understood', async () => {
    const {error} = await runCommand(['ls'], {root})
    expect(exitOf(error)).to.equal(2)
  })

  it('print one document and throw nothing with --json', async () => {
    const {error, stderr, stdout} = await runCommand(['ls', 'oci-layout:/nowhere/at/all', '--json'], {root})
    expect(error).to.equal(undefined)
    expect(stderr).to.equal('')
    const document = JSON.parse(stdout) as {error: {code: string}; exitCode: number; schema: string}
    expect(document.schema).to.equal('kloset-oci/ls/v1')
    expect([document.error.code, document.exitCode]).to.deep.equal(['NOT_FOUND', 66])
    expect(Object.keys(document)[0]).to.equal('schema')
  })

  it('leave no listener for signals behind', async () => {
    const before = process.listenerCount('SIGINT')
    await runCommand(['info', `oci-layout:${goldenCopy('plaintext')}`], {root})
    await runCommand(['info', 'oci-layout:/nowhere'], {root})
    await runCommand(['info'], {root})
    expect(process.listenerCount('SIGINT')).to.equal(before)
  })

  it('look for nothing in a home that is no folder', async () => {
    const {
      status: exit,
      stderr,
      stdout,
    } = await cli(['ls', `oci-layout:${goldenCopy('plaintext')}`, '--count'], {
      env: {HOME: '/dev/null'},
    })
    expect([exit, stderr]).to.deep.equal([0, ''])
    expect(stdout).to.match(/total +7/)
  })

  it('are told by topic in help, each for what all of its commands do', async () => {
    const {stdout} = await cli(['--help'])
    expect(stdout).to.match(/repair +bring a damaged store back/)
    expect(stdout).to.match(/snapshot +list what is in a store/)
    expect((await cli(['snapshot', '--help'])).stdout).to.contain('list what is in a store')
  })
})
