/* eslint-disable mocha/no-exports -- the suite itself: the backends' test files run it */
import type {ContractSubject, ContractTraits} from './subject.js'

import {describeBlobs} from './blobs-contract.js'
import {describeListings} from './listings-contract.js'
import {describeManifests} from './manifests-contract.js'

/** What every repository does, whatever is behind it. `factory` makes a new, empty one for each test. */
export function describeRepositoryContract(
  name: string,
  factory: () => Promise<ContractSubject>,
  traits: ContractTraits = {untagKeepsManifest: true},
): void {
  describe(`repository contract: ${name}`, () => {
    let current: ContractSubject

    beforeEach(async () => {
      current = await factory()
    })

    afterEach(async () => {
      await current.repository.close()
      await current.close?.()
    })

    const subject = () => current
    describeBlobs(subject)
    describeManifests(subject, traits)
    describeListings(subject)
  })
}
