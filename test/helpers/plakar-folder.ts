/* eslint-disable mocha/no-exports, mocha/no-top-level-hooks -- hooks for the test files that ask for them */
import {expect} from 'chai'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {scratchDir} from './hooks.js'
import {needPlakar} from './plakar-rig.js'
import {type Plakar, type PlakarResult, startPlakar} from './plakar.js'

/** A store that plakar keeps in a folder, and a folder to back up: new ones for each test of a suite. */
export class PlakarFolder {
  plakar!: Plakar
  root!: string
  source!: string
  #program!: string

  /** For a suite whose tests are skipped where plakar is not there. */
  static use(): PlakarFolder {
    const folder = new PlakarFolder()
    beforeEach(async function () {
      folder.#program = needPlakar(this)
      folder.plakar = await startPlakar(folder.#program)
      folder.root = join(scratchDir('store'), 'store')
      folder.source = join(scratchDir('source'), 'dir')
      mkdirSync(folder.source)
    })
    afterEach(async () => folder.plakar?.close())
    return folder
  }

  /** Another home has no cache: everything is read from the store. */
  async forget(): Promise<void> {
    await this.plakar.close()
    this.plakar = await startPlakar(this.#program)
  }

  /** A command on the store, which has to work. */
  async run(args: readonly string[], passphrase?: string): Promise<PlakarResult> {
    const result = await this.plakar.run(['at', `fs://${this.root}`, ...args], {passphrase})
    expect(result.status, `plakar ${args.join(' ')}: ${result.stdout}${result.stderr}`).to.equal(0)
    return result
  }
}
