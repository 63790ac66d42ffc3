export { buildImage, type ImageRecipe } from "./build-image.ts";
export { buildLayer } from "./build-layer.ts";
export { chainId, chainIds } from "./chain-id.ts";
export { defaultSpec, numericUser, type SpecOptions } from "./default-spec.ts";
export { digestOf, digestParts, DigestStream, isDigest, parseDigest, type Digest } from "./digest.ts";
export { errors } from "./errors.ts";
export {
  machineArchitecture,
  parseConfig,
  parseDescriptor,
  parseIndex,
  parseManifest,
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  type ImageProcess,
  type Platform,
} from "./image.ts";
export { dockerMediaTypes, isIndexType, isManifestType, mediaTypes } from "./media-types.ts";
export type * from "./runtime-spec.ts";
export {
  isOverlayOpaque,
  isOverlayWhiteout,
  isOverlayXattr,
  opaqueName,
  opaquePath,
  opaqueXattr,
  parseLayerName,
  whiteoutPath,
  type LayerName,
  type OverlayFile,
} from "./whiteout.ts";
export { ImageLayout, refNameAnnotation } from "./image-layout.ts";
export type { LayerEntry } from "./layer-entry.ts";
export { packLayout, unpackLayout } from "./layout-archive.ts";
