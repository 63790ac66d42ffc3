import type { Digest, ImageConfig } from "@aeon/oci";
import { errors } from "../../errors.ts";

/** The image below a backup's own layers, as the backup's document names it. */
export interface BaseReference {
  /** As the container's record named it. */
  readonly image: string;
  /** Of its manifest or index; absent when the backup did not learn it. */
  readonly digest?: string | undefined;
  /** Uncompressed layers, lowest first; absent when the backup did not learn them. */
  readonly diffIds?: readonly string[] | undefined;
}

/** An image that may be the base. */
export interface BaseCandidate {
  readonly config: ImageConfig;
}

/**
 * The first candidate that has the layers that the backup was made upon; the first of all when the backup does not
 * know them. Throws `EXPORT_BASE_MISSING` or `EXPORT_BASE_DIFFERENT`; `where` says what was searched.
 */
export async function findBase<Candidate extends BaseCandidate>(
  candidates: AsyncIterable<Candidate>,
  { image, diffIds }: BaseReference,
  where: string,
): Promise<Candidate> {
  let other: Candidate | undefined;
  for await (const candidate of candidates) {
    if (diffIds === undefined || sameLayers(candidate.config.rootfs.diff_ids, diffIds)) return candidate;
    other ??= candidate;
  }
  if (other === undefined)
    throw errors.EXPORT_BASE_MISSING(
      `the image ${image} that the backup lies on is not in ${where}; pull it, or give it as an OCI layout with --base`,
      { details: { image } },
    );
  throw errors.EXPORT_BASE_DIFFERENT(
    `${image} in ${where} is another image than when the backup was made: its top layer is ${topOf(other.config.rootfs.diff_ids)}, it was ${topOf(diffIds ?? [])}; give the former image with --base`,
    { details: { image } },
  );
}

const topOf = (diffIds: readonly string[]): string => diffIds.at(-1) ?? "none";

const sameLayers = (a: readonly Digest[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((diffId, index) => diffId === b[index]);
