/** Media types of the OCI image specification. */
export const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  empty: "application/vnd.oci.empty.v1+json",
} as const;

/** Docker's names for the same things, which containerd's image store holds too. */
export const dockerMediaTypes = {
  index: "application/vnd.docker.distribution.manifest.list.v2+json",
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar",
  layerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

/** True for an image index, Docker's manifest list included. */
export const isIndexType = (mediaType: string): boolean =>
  mediaType === mediaTypes.index || mediaType === dockerMediaTypes.index;

/** True for an image manifest, Docker's included. */
export const isManifestType = (mediaType: string): boolean =>
  mediaType === mediaTypes.manifest || mediaType === dockerMediaTypes.manifest;
