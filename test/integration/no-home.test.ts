import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {FIXTURES, scratchDir} from '../helpers/hooks.js'

/** What Node does for a user without an entry in the system's list and without HOME, as a container may have it. */
const UNKNOWN_USER = `
require('node:os').homedir = () => {
  if (process.env.HOME) return process.env.HOME
  throw new Error('uv_os_homedir returned ENOENT (no such file or directory)')
}`

describe('without a home folder', () => {
  let env: Record<string, string | undefined>

  before(() => {
    const preload = join(scratchDir('no-home'), 'unknown-user.cjs')
    writeFileSync(preload, UNKNOWN_USER)
    env = {HOME: undefined, NODE_OPTIONS: `--require ${preload}`}
  })

  it('a store in a folder is read', async () => {
    const {status, stderr, stdout} = await cli(['ls', `oci-layout:${join(FIXTURES, 'plaintext.oci')}`, '--count'], {
      env,
    })
    expect([status, stderr], stderr).to.deep.equal([0, ''])
    expect(stdout).to.match(/^packfile +4$/m)
  })

  it('a registry is asked without a login, and says what is missing', async () => {
    const fake = await FakeRegistry.start({auth: 'basic'})
    try {
      const {status, stderr} = await cli(['ls', `oci://${fake.host}/backups/main`], {env})
      expect([status, stderr.replaceAll(/\s+/g, ' ')]).to.satisfy(
        ([code, text]: [number, string]) => code === 77 && text.includes('none was found'),
        stderr,
      )
    } finally {
      await fake.stop()
    }
  })

  it('a login is looked for nowhere in the folder where it is run', async () => {
    for (const HOME of ['', undefined]) {
      const {stdout} = await cli(['auth', 'explain', 'registry.example', '--json'], {env: {...env, HOME}})
      const {files} = JSON.parse(stdout) as {files: {path: string}[]}
      expect(files.map(({path}) => path).filter((path) => !path.startsWith('/'))).to.deep.equal([])
    }
  })
})
