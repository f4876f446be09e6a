/** Media types of the OCI image specification and of Docker's schema 2, and our own artifact types. */
export const MEDIA_TYPE = {
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  emptyJson: 'application/vnd.oci.empty.v1+json',
  imageConfig: 'application/vnd.oci.image.config.v1+json',
  imageIndex: 'application/vnd.oci.image.index.v1+json',
  imageManifest: 'application/vnd.oci.image.manifest.v1+json',
  octetStream: 'application/octet-stream',
} as const

/** What we ask for when we read a manifest: every kind, so that a foreign tag is named and not called missing. */
export const ACCEPT_MANIFEST = [
  MEDIA_TYPE.imageManifest,
  MEDIA_TYPE.dockerManifest,
  MEDIA_TYPE.imageIndex,
  MEDIA_TYPE.dockerManifestList,
].join(', ')

export const ANNOTATION = {
  created: 'org.opencontainers.image.created',
  refName: 'org.opencontainers.image.ref.name',
} as const
