export {
  exportImage,
  type ExportedImage,
  type ExportProgress,
  type ExportRequest,
} from "./export/export-image.ts";
export { containerdBase, type ContainerdBaseOptions } from "./export/containerd-base.ts";
export { layoutBase } from "./export/layout-base.ts";
export type { BaseImage, ImageBlob, ImageLayer } from "./export/image-layer.ts";
export type { BaseReference } from "./export/find-base.ts";
export type { ExportCompression, ExportSource } from "./export/own-layers.ts";
