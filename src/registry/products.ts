/**
 * What an operator sets on each registry product so that a store survives there. Advice only: no code decides by it.
 * What is here was read in the products' documentation or source, or reported by their users; `uncertain` says where it
 * was not. `docs/registries.md` is made from this table.
 */

/** A name that a rule may match. Rules are written differently everywhere; these expressions are what all build on. */
export const TAG_RULES = {
  /** Everything that belongs to a store. */
  all: String.raw`^(CONFIG|(packfiles|state|locks)-[0-9a-f]{64})$`,
  /** Must be moved and deleted all the time. */
  mutable: String.raw`^locks-[0-9a-f]{64}$`,
  /** Our own throw-away tags, and those of deletion by stand-in. */
  ours: String.raw`^kloset-oci-`,
  /** May be immutable: what has been written never changes. Deleting them is another question, see `delete`. */
  written: String.raw`^(CONFIG|(packfiles|state)-[0-9a-f]{64})$`,
} as const

export const PRODUCT_IDS = [
  'docker-hub',
  'ghcr',
  'ecr',
  'gar',
  'acr',
  'harbor',
  'quay',
  'gitlab',
  'distribution-2.8',
  'distribution-3',
  'zot',
] as const
export type ProductId = (typeof PRODUCT_IDS)[number]

export const TOPICS = ['immutability', 'retention', 'untagged', 'gc', 'delete', 'limits'] as const
export type Topic = (typeof TOPICS)[number]

export interface Product {
  readonly advice: Readonly<Record<Topic, readonly string[]>>
  /** Matches the host name, without its port. */
  readonly host?: RegExp
  readonly id: ProductId
  readonly name: string
  /** What could not be confirmed: look it up before you rely on it. */
  readonly uncertain: readonly string[]
}

/** What holds everywhere. */
export const COMMON: Readonly<Record<Topic, readonly string[]>> = {
  delete: [
    'Allow deletion to the login of backups: plakar deletes its lock after every run, and packfiles in maintenance.',
  ],
  gc: [
    'Run `gc-check` after each garbage collection.',
    'Never let a collection run beside writers unless the product says that it is safe.',
  ],
  immutability: [
    `Tags that match \`${TAG_RULES.mutable}\` must stay mutable and deletable: a lock is written anew every five minutes.`,
    `Tags that match \`${TAG_RULES.written}\` may be immutable; maintenance must still be able to delete packfiles and states.`,
  ],
  limits: ['plakar takes at most about 123,000 objects of one kind in one list.'],
  retention: [
    'No rule by age, by count or by last pull may touch the repository: the oldest packfile is needed as much as the newest, and most are never pulled.',
  ],
  untagged: [
    'Untagged manifests may be cleaned up: each renewal of a lock leaves one. Nothing of a store lies without a tag while the store is whole.',
  ],
}

export const PRODUCTS: readonly Product[] = [
  {
    advice: {
      delete: [
        'The registry API refuses to delete a manifest while a tag leads to it, and does not untag: tags go through the web page or the API of Docker Hub itself.',
        'So locks cannot be released and maintenance cannot free anything: better not for a store that is kept for long.',
      ],
      gc: ['Run by Docker Hub; nothing to set.'],
      immutability: [
        `Repository settings, tag mutability: choose the form by regular expression and give \`${TAG_RULES.written}\`; never make all tags immutable. Immutable tags can be neither overwritten nor deleted.`,
      ],
      limits: ['100 manifest reads in six hours without a login, 200 with a free one; asking by HEAD is free.'],
      retention: ['No rule is known to be set by default.'],
      untagged: ['Nothing to set is known.'],
    },
    host: /(?:^|\.)docker\.io$/,
    id: 'docker-hub',
    name: 'Docker Hub',
    uncertain: [
      'Whether its registry API deletes a tagged manifest: its own documentation says both.',
      'The largest page of tags, and when garbage is collected.',
    ],
  },
  {
    advice: {
      delete: [
        'The registry API answers 405 to deletes: versions of the package are deleted with the GitHub Packages API or on the web page.',
        'So locks cannot be released and maintenance cannot free anything by the registry API.',
      ],
      gc: ['Run by GitHub; nothing to set.'],
      immutability: ['Nothing to set is known.'],
      limits: ['10 GB a layer, 10 minutes an upload; a chunk of more than 4 MiB is refused with 416.'],
      retention: [
        'Workflows that delete old or untagged package versions must leave this package out.',
        'GHCR has no referrers API: tools that sign or attach leave tags named sha256-… behind; they are foreign to the store and harmless.',
      ],
      untagged: ['Nothing to set is known.'],
    },
    host: /(?:^|\.)ghcr\.io$/,
    id: 'ghcr',
    name: 'GitHub Container Registry',
    uncertain: ['The largest page of tags, quotas, and when garbage is collected.'],
  },
  {
    advice: {
      delete: ['By digest works; the login needs ecr:BatchDeleteImage.'],
      gc: ['Run by AWS; nothing to set.'],
      immutability: [
        'imageTagMutability: MUTABLE, or IMMUTABLE_WITH_EXCLUSION with imageTagMutabilityExclusionFilters of filterType WILDCARD: locks-* and, for `doctor`, kloset-oci-*. With plain IMMUTABLE the renewal of a lock fails, and plakar does not say so.',
      ],
      limits: [
        '10,000 images a repository (a quota that can be raised): ask for more before the store reaches 8,000 objects.',
        'Logins last 12 hours: use the credential helper, not a stored password.',
        'Chunked uploads have lost chunks: kloset-oci sends a blob in one piece.',
      ],
      retention: [
        'Lifecycle policy: no rule with tagStatus tagged or any on this repository. A rule for tagStatus untagged is wanted.',
      ],
      untagged: [
        'Untagged images stay until a lifecycle rule takes them: add one with tagStatus untagged and sinceImagePushed of one day or more.',
      ],
    },
    host: /\.dkr\.ecr(?:-fips)?\.[a-z\d-]+\.amazonaws\.com(?:\.cn)?$/,
    id: 'ecr',
    name: 'Amazon ECR',
    uncertain: ['Whether a tag can be deleted alone by the registry API; whether immutable tags can be deleted there.'],
  },
  {
    advice: {
      delete: [
        'A manifest cannot be deleted while a tag leads to it: the tag first, then the digest. kloset-oci does so.',
      ],
      gc: ['Run by Google; nothing to set.'],
      immutability: [
        'Leave immutable image tags off for the repository: with them, tags can be neither moved nor removed, so locks cannot be renewed or released.',
      ],
      limits: [
        'Lists of more than 10,000 tags are reported to be incomplete: keep a store below 8,000 objects, or begin a second one.',
        '60,000 requests and 18,000 writes a minute.',
      ],
      retention: [
        'Clean-up policies: no policy with action DELETE may match tagged versions (tagState ANY or TAGGED) of this repository. A KEEP policy wins over a DELETE policy: one for the tag prefixes CONFIG, packfiles-, state- protects the store.',
      ],
      untagged: [
        'A clean-up policy with action DELETE, condition.tagState UNTAGGED and condition.olderThan 86400s or more is wanted; try it with the dry run first.',
      ],
    },
    host: /(?:^|[-.])(?:docker\.pkg\.dev|gcr\.io)$/,
    id: 'gar',
    name: 'Google Artifact Registry',
    uncertain: [
      'Ranges of blobs (seen on its predecessor), paging and the form of clean-up policies: try with `doctor`, and with a dry run of the policy.',
    ],
  },
  {
    advice: {
      delete: ['By digest works; a tag alone goes by its own API only.'],
      gc: ['Run by Azure; nothing to set.'],
      immutability: [
        `Locks of manifests (az acr repository update --write-enabled or --delete-enabled false) may be set on what matches \`${TAG_RULES.written}\`, never on the whole repository: \`${TAG_RULES.mutable}\` is moved and deleted.`,
      ],
      limits: [
        'A blob of more than about 20 MB in one request was refused with 413: kloset-oci then sends chunks.',
        'Writes a minute: 100, 500 or 2000 by tier (an old figure).',
      ],
      retention: [
        'acr purge tasks must not match the repository by age or by tag filter: what they delete cannot be recovered.',
      ],
      untagged: ['The retention policy for untagged manifests (Premium) may be on, with a day or more.'],
    },
    host: /\.azurecr\.(?:io|cn|us)$/,
    id: 'acr',
    name: 'Azure Container Registry',
    uncertain: ['The limits by tier.'],
  },
  {
    advice: {
      delete: [
        'By digest works, a tag alone is refused by the registry API; the login needs the right to delete artifacts.',
      ],
      gc: [
        'Garbage collection has a time window for what was pushed lately: keep it at two hours or more. It was reported to take blobs of tagged images: run `gc-check` after each.',
        'The option to delete untagged artifacts may be on.',
      ],
      immutability: [
        'Tag immutability rules of the project: match packfiles-** and state-** and CONFIG; no rule may match locks-**. What is immutable is refused with 412, and cannot be deleted by maintenance.',
      ],
      limits: [
        'Project quotas count partial pushes: leave room for a packfile for each writer.',
        'Artifacts of more than 32 GiB were reported to fail; packfiles have 64 MiB.',
      ],
      retention: [
        'Tag retention rules of the project: exclude the repository, or have one that retains ** always. A rule that retains the latest pushed or pulled ones deletes backups.',
      ],
      untagged: ['Let garbage collection delete untagged artifacts.'],
    },
    id: 'harbor',
    name: 'Harbor',
    uncertain: [],
  },
  {
    advice: {
      delete: [
        'A tag is deleted alone; deleting by digest removes every tag of it. Tokens need the push scope to delete.',
      ],
      gc: ['Deleted tags are kept for the time machine, two weeks by default, before space is freed.'],
      immutability: ['Immutable tags are refused on push and on delete: no rule may match locks-*.'],
      limits: [
        '20 GB a layer by default.',
        'config.yaml must take the layer type application/octet-stream: ALLOWED_OCI_ARTIFACT_TYPES with application/vnd.oci.image.config.v1+json: [application/octet-stream] (name the defaults again that others need), or IGNORE_UNKNOWN_MEDIATYPES. By default pushes are refused with 415 or 400.',
      ],
      retention: [
        'Auto-prune policies of repository and organisation: none by tag count or age.',
        'No tag expiration label: none is written by kloset-oci or plakar.',
      ],
      untagged: ['Nothing to set: untagged manifests go with the time machine.'],
    },
    host: /(?:^|\.)quay\.io$/,
    id: 'quay',
    name: 'Quay',
    uncertain: ['Limits of quay.io itself, and which of the settings of media types your version has.'],
  },
  {
    advice: {
      delete: [
        'Tags are deleted with the registry API of GitLab (REST) or by a clean-up policy; deletes by the registry API itself were reported to take minutes each on an old registry.',
        'The token needs the right to delete.',
      ],
      gc: [
        'gitlab.com: what is not referenced goes after 24 hours, online. Self-managed: by hand, with the registry read-only meanwhile (gitlab-ctl registry-garbage-collect, with -m also untagged manifests).',
      ],
      immutability: ['Protected tag rules: none may match locks-.*.'],
      limits: ['Tokens last five minutes by default: they are renewed.'],
      retention: [
        'Clean-up policy of the project: off, or with a "keep tags matching" expression that is `' +
          TAG_RULES.all +
          '`',
      ],
      untagged: ['gitlab.com does it; self-managed with -m.'],
    },
    host: /(?:^|\.)registry\.gitlab\.com$/,
    id: 'gitlab',
    name: 'GitLab container registry',
    uncertain: ['Paging, uploads in chunks, immutability: little is confirmed, run `doctor`.'],
  },
  {
    advice: {
      delete: [
        'Off by default: storage.delete.enabled: true in its configuration. Only by digest, which removes all tags of it; kloset-oci looks for others first. Each delete reads every tag of the repository: minutes in a large one.',
      ],
      gc: [
        'registry garbage-collect, with the registry stopped or read-only: a push beside it corrupts. With --delete-untagged.',
        'Restart the registry afterwards: its cache still believes in blobs that have gone, and a repair would not be taken.',
      ],
      immutability: ['Not offered: nothing to set.'],
      limits: ['4 MiB a manifest. Lists come whole, in one page.'],
      retention: ['Not offered: nothing to set. Scripts that delete by age must leave the repository out.'],
      untagged: ['garbage-collect --delete-untagged.'],
    },
    id: 'distribution-2.8',
    name: 'distribution 2.8 (registry:2)',
    uncertain: [],
  },
  {
    advice: {
      delete: [
        'storage.delete.enabled: true in its configuration. A tag is deleted alone; 3.0.0 does that even with deletes disabled.',
      ],
      gc: [
        'registry garbage-collect, with the registry stopped or read-only, with --delete-untagged; restart it afterwards.',
      ],
      immutability: ['Not offered: nothing to set.'],
      limits: [
        '4 MiB a manifest. Uploads that stand still are purged after 168 hours.',
        'Several instances behind one address need the same http.secret.',
      ],
      retention: ['Not offered: nothing to set. Scripts that delete by age must leave the repository out.'],
      untagged: ['garbage-collect --delete-untagged.'],
    },
    id: 'distribution-3',
    name: 'distribution 3 (registry:3)',
    uncertain: [],
  },
  {
    advice: {
      delete: ['A tag is deleted alone; a digest that several tags share is refused with 409 for some users.'],
      gc: ['Runs hourly and takes untagged manifests by default; gcDelay of an hour or more.'],
      immutability: ['Nothing to set is known; access control may forbid update and delete: not for locks-.'],
      limits: ['One index.json holds every tag of a repository: it grows with the store.'],
      retention: [
        'storage.retention.policies: as soon as one policy with keepTags matches the repository, every tag that no rule keeps is deleted. Have none match it, or one whose keepTags is [{"patterns": [".*"]}]. deleteUntagged may be true.',
      ],
      untagged: ['Taken by its garbage collection.'],
    },
    id: 'zot',
    name: 'zot',
    uncertain: ['Its retention has had defects: try with dryRun first.'],
  },
]

export function productOf(id: ProductId): Product {
  return PRODUCTS.find((product) => product.id === id)!
}

/** The product behind a host name, where the name tells. */
export function productOfHost(host: string): Product | undefined {
  const hostname = host.toLowerCase().replace(/:\d+$/, '')
  return PRODUCTS.find((product) => product.host?.test(hostname))
}

/** What an answer's headers and the token service give away. */
export interface Traces {
  readonly authenticate?: string | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** The product that an answer of `/v2/` gives away, where it does. */
export function productOfTraces({authenticate = '', headers}: Traces): Product | undefined {
  const service = /service="([^"]*)"/.exec(authenticate)?.[1]?.toLowerCase() ?? ''
  if (service === 'harbor-registry' || headers['x-harbor-csrf-token'] !== undefined) return productOf('harbor')
  if (service === 'container_registry' || headers['gitlab-container-registry-version'] !== undefined) {
    return productOf('gitlab')
  }

  return undefined
}
