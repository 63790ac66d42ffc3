import type { ExportedImage } from "@aeon/rootfs-backup/inspect";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";

/** What `aeonctl backup export` says. */
export interface ExportView {
  readonly id: string;
  /** Absolute path of the tar. */
  readonly file: string;
  /** Name that the image has in it. */
  readonly image: string;
  /** Of the image's manifest. */
  readonly digest: string;
  /** Those of the image below included. */
  readonly layers: number;
  /** Bytes of config, manifest and layers. */
  readonly size: number;
}

export const exportView = (
  { reference, digest, layers, size }: ExportedImage,
  id: string,
  file: string,
): ExportView => ({
  id,
  file,
  image: reference,
  digest,
  layers,
  size,
});

export const exportText = ({ file, image, layers, size }: ExportView): string =>
  `wrote ${printable(image)} with ${layers} layers, ${humanSize(size)}, to ${printable(file)}\n`;
