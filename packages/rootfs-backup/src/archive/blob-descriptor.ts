/** Points to a stored blob, as in OCI. */
export interface BlobDescriptor {
  readonly mediaType: string;
  /** `sha256:…` of the stored bytes. */
  readonly digest: string;
  readonly size: number;
}

/** What the blobs of a layer are. */
export const layerMediaTypes = {
  layer: "application/vnd.oci.image.layer.v1.tar+zstd",
  index: "application/vnd.aeon.layer.index.v1",
  toc: "application/vnd.aeon.layer.toc.v1+zstd",
} as const;

/** The media type of a blob of a layer that is encrypted. */
export const encryptedType = (mediaType: string): string => `${mediaType}+encrypted`;

/** The files of a packed layer. */
export interface LayerFiles {
  readonly layer: string;
  readonly index: string;
  readonly toc: string;
}

/** Where packFile puts index and table of contents: beside the layer. */
export const layerFiles = (layer: string): LayerFiles => ({
  layer,
  index: `${layer}.index`,
  toc: `${layer}.toc`,
});
