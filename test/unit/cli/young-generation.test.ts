import {expect} from 'chai'
import {execFileSync} from 'node:child_process'

import {cleanEnv} from '../../helpers/cli.js'

const MODULE = new URL('../../../src/cli/young-generation.ts', import.meta.url).href

/** Makes and drops much, some of it alive at any time, and prints how large the part for new objects has become. */
function sizeAfterMuch(begin: string): number {
  const printed = execute(`
    import v8 from 'node:v8'
    ${begin}
    const size = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size
    const before = size()
    let alive = []
    for (let at = 0; at < 4_000_000; at++) {
      alive.push({at})
      if (alive.length > 100_000) alive = []
    }
    console.log(size() / before)`)
  return Number(printed)
}

function execute(script: string): string {
  const source = `import {keepYoungGenerationSmall} from '${MODULE}'\n${script}`
  const args = ['--import', 'tsx/esm', '--input-type=module', '--eval', source]
  return execFileSync(process.execPath, args, {encoding: 'utf8', env: cleanEnv(), stdio: ['ignore', 'pipe', 'inherit']})
}

describe('the heap of a command of many small requests', () => {
  it('keeps its part for new objects at its size, which else grows', () => {
    expect(sizeAfterMuch('')).to.be.greaterThan(1)
    expect(sizeAfterMuch('keepYoungGenerationSmall()')).to.equal(1)
  })

  it('leaves a compiled form that is kept at the end fit for the next start', () => {
    const printed = execute(`
      import vm from 'node:vm'
      const form = () => new vm.Script('1').createCachedData().toString('hex')
      const atStart = form()
      process.once('exit', () => console.log(during === atStart, form() === atStart))
      keepYoungGenerationSmall()
      const during = form()`)
    expect(printed).to.equal('false true\n')
  })
})
