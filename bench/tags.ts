/**
 * Peak memory and speed of `ls` and `gc-check` over a store of many objects that takes no memory itself.
 * Run: node --import tsx/esm bench/tags.ts [COUNT]
 */
import {gcCheck} from '../src/checker/gc-check.js'
import {KlosetStore} from '../src/kloset/store.js'
import {endlessStore} from '../test/helpers/endless-repository.js'

const count = Number(process.argv[2] ?? 100_000)

async function measure(name: string, run: () => Promise<unknown>): Promise<void> {
  const start = process.hrtime.bigint()
  await run()
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const peak = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(
    `${name.padEnd(9)} ${count} objects in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)}/s, peak RSS ${peak} MiB`,
  )
}

await measure('ls', async () => {
  const {repository} = await endlessStore(count)
  let listed = 0
  for await (const mac of new KlosetStore(repository).list('packfile')) if (mac) listed += 1
  if (listed !== count) throw new Error(`listed ${listed}`)
})

await measure('gc-check', async () => {
  const {repository} = await endlessStore(count)
  const check = gcCheck(repository, {states: false})
  let findings = 0
  for await (const {kind} of check) if (kind) findings += 1
  if (findings > 0) throw new Error(`${findings} findings`)
  if (check.summary.objects.packfile !== count) throw new Error('not all were checked')
})
