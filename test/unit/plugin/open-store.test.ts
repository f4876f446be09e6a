/* eslint-disable camelcase -- names of options and of the environment */
import {expect} from 'chai'

import {parseConfig} from '../../../src/plugin/config.js'
import {openConfigured} from '../../../src/plugin/open-store.js'

async function environmentAfter(options: Record<string, string>): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {HTTPS_PROXY: 'http://old:1', no_proxy: 'old.example'}
  const config = parseConfig(new Map(Object.entries({location: 'oci://registry.example/store', ...options})))
  const repository = await openConfigured(config, {env})
  await repository.close()
  return env
}

describe("the plugin's proxy", () => {
  it('and what goes around it stand instead of those of the environment, each by itself', async () => {
    expect(await environmentAfter({})).to.deep.equal({HTTPS_PROXY: 'http://old:1', no_proxy: 'old.example'})
    expect(await environmentAfter({no_proxy: '10.0.0.0/8'})).to.deep.equal({
      HTTPS_PROXY: 'http://old:1',
      NO_PROXY: '10.0.0.0/8',
    })
    expect(await environmentAfter({proxy: 'http://new:2'})).to.deep.equal({
      HTTP_PROXY: 'http://new:2',
      HTTPS_PROXY: 'http://new:2',
    })
    expect(await environmentAfter({no_proxy: 'a', proxy: 'http://new:2'})).to.deep.equal({
      HTTP_PROXY: 'http://new:2',
      HTTPS_PROXY: 'http://new:2',
      NO_PROXY: 'a',
    })
  })
})
