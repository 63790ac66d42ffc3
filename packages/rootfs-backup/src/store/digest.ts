import { createHash } from "node:crypto";

/** A content digest in OCI's form. */
export const digestPattern: RegExp = /^sha256:[0-9a-f]{64}$/;

export const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** The part of a digest that serves as a file name. */
export const hexOf = (digest: string): string => digest.slice("sha256:".length);
