/* eslint camelcase: 'off' -- the options' own names */
import {expect} from 'chai'

import type {KlosetOciError} from '../../../src/errors.js'

import {optionNames, parseConfig} from '../../../src/plugin/config.js'
import {toRpcError} from '../../../src/plugin/failures.js'

const MIB = 1024 * 1024
const LOCATION = 'oci://registry.example/backups/main'

function parse(options: Record<string, string>) {
  return parseConfig(new Map(Object.entries({location: LOCATION, ...options})))
}

function mistake(options: Record<string, string>): string {
  try {
    parse(options)
  } catch (error) {
    expect((error as KlosetOciError).code).to.match(/^INVALID_/)
    return (error as Error).message
  }

  throw new Error(`no mistake: ${JSON.stringify(options)}`)
}

describe("the plugin's configuration", () => {
  it('needs a location only', () => {
    expect(parse({})).to.include({
      cacheBytes: 128 * MIB,
      concurrency: 16,
      durable: false,
      insecureSkipTlsVerify: false,
      location: LOCATION,
      plainHttp: undefined,
      readOnly: false,
    })
  })

  it('passes over what plakar keeps for itself', () => {
    expect(parse({passphrase: 'x', passphrase_cmd: 'y'}).location).to.equal(LOCATION)
  })

  it('takes the names of the S3 integration', () => {
    expect(parse({access_key: 'me', secret_access_key: 'secret', use_tls: 'false'})).to.include({
      password: 'secret',
      plainHttp: true,
      username: 'me',
    })
  })

  it('reads sizes with and without a unit', () => {
    const sizes = {'2GB': 2048 * MIB, '64M': 64 * MIB, '512 MiB': 512 * MIB, '65536k': 64 * MIB, '4194304': 4 * MIB}
    for (const [text, bytes] of Object.entries(sizes))
      expect(parse({cache_size: text}).cacheBytes, text).to.equal(bytes)
  })

  it('reads flags in the words that people write', () => {
    for (const word of ['true', '1', 'yes', 'on', 'TRUE']) expect(parse({durable: word}).durable, word).to.equal(true)
    for (const word of ['false', '0', 'no', 'off']) expect(parse({durable: word}).durable, word).to.equal(false)
  })

  it('knows http and https under both names', () => {
    expect(parse({use_tls: 'true'}).plainHttp).to.equal(false)
    expect(parse({insecure: 'true'}).plainHttp).to.equal(true)
    expect(parse({insecure: 'false'}).plainHttp).to.equal(undefined)
    expect(parse({insecure: 'true', use_tls: 'false'}).plainHttp).to.equal(true)
  })

  const mistakes: [Record<string, string>, RegExp][] = [
    [{location: ''}, /^location is empty/],
    [{location: 'registry.example/x'}, /^location: /],
    [{location: 'oci://Registry Example/x'}, /^location: /],
    [{location: 'oci://user:canary@registry.example/x'}, /^location: /],
    [{'cache-size': '1G'}, /unknown option "cache-size": did you mean cache_size\?/],
    [{endpoint: 'x'}, /unknown option "endpoint": known options are auth_file, /],
    [{cache_size: 'much'}, /^cache_size is a size from 4MiB to 64GiB, like 128MiB, not "much"/],
    [{cache_size: '1K'}, /^cache_size is a size/],
    [{cache_size: '-1'}, /^cache_size is a size/],
    [{block_size: '64M', cache_size: '128M'}, /^cache_size must hold four blocks/],
    [{concurrency: '0'}, /^concurrency is a number from 1 to 256, not "0"/],
    [{concurrency: '1e3'}, /^concurrency is a number/],
    [{retries: 'no'}, /^retries is a number from 0 to 100/],
    [{durable: 'maybe'}, /^durable is true or false, not "maybe"/],
    [{insecure: 'true', use_tls: 'true'}, /contradict each other/],
    [{ca_file: '/ca.pem', use_tls: 'false'}, /about TLS, which use_tls=false turns off/],
    [{cert_file: '/cert.pem'}, /^cert_file and key_file need each other/],
    [{username: 'me'}, /^username needs password or password_file/],
    [{password: 'canary'}, /^a password needs username/],
    [{password: 'canary', password_file: '/file', username: 'me'}, /not both/],
    [{password: 'canary', token: 'canary', username: 'me'}, /^give one login/],
    [{token: 'canary', token_file: '/file'}, /^give one login/],
    [{access_key: 'me', password: 'canary', username: 'me'}, /say the same thing: give one of them/],
    [{proxy: 'proxy:3128'}, /^proxy is a URL like/],
    [{proxy: 'socks5://user:canary@proxy:1080'}, /^proxy is a URL like/],
    [{ca_file: ''}, /^ca_file is empty/],
  ]
  for (const [options, says] of mistakes) {
    it(`says what is wrong with ${JSON.stringify(options).replaceAll('canary', 'SECRET')}`, () => {
      const text = mistake(options)
      expect(text)
        .to.match(says)
        .and.not.to.match(/canary|\n/)
    })
  }

  it('says what to write instead of a wrong location', () => {
    try {
      parse({location: 'oci://registry.example/Main'})
      expect.fail()
    } catch (error) {
      expect(toRpcError(error).message).to.match(/is not a repository path - .*oci:\/\/registry\.example\/main$/)
    }
  })

  it('says that there is no location', () => {
    expect(() => parseConfig(new Map())).to.throw(/^location is missing: it looks like oci:\/\//)
  })

  it('names every option', () => {
    expect(optionNames()).to.include.members(['access_key', 'cache_dir', 'location', 'use_tls'])
    expect(optionNames()).to.deep.equal([...new Set(optionNames())].sort())
  })
})
