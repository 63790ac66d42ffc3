import { chainId, type Digest, type ImageConfig } from "@aeon/oci";
import { errors } from "../../errors.ts";

/** The image below a backup's own layers, as the backup's document names it. */
export interface BaseReference {
  /** As the container's record named it. */
  readonly image: string;
  /** Of its manifest or index; absent when the backup did not learn it. */
  readonly digest?: string | undefined;
  /** Uncompressed layers, lowest first; absent when the backup did not learn them. */
  readonly diffIds?: readonly string[] | undefined;
  /** Of all layers, in the sense of OCI; absent when the backup did not learn it. */
  readonly chainId?: string | undefined;
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
  wanted: BaseReference,
  where: string,
): Promise<Candidate> {
  const { image } = wanted;
  let other: Candidate | undefined;
  for await (const candidate of candidates) {
    if (isWanted(candidate, wanted)) return candidate;
    other ??= candidate;
  }
  if (other === undefined)
    throw errors.EXPORT_BASE_MISSING(
      `the image ${image} that the backup lies on is not in ${where}; pull it, or give it as an OCI layout with --base`,
      { details: { image } },
    );
  throw errors.EXPORT_BASE_DIFFERENT(
    `${image} in ${where} is another image than when the backup was made: its layers are ${chainId(other.config.rootfs.diff_ids) ?? "none"}, they were ${wanted.chainId ?? wanted.diffIds?.join(" ") ?? ""}; give the former image with --base`,
    { details: { image } },
  );
}

/** True when nothing that the backup knows of its image speaks against this one. */
function isWanted({ config }: BaseCandidate, wanted: BaseReference): boolean {
  const { diff_ids: found } = config.rootfs;
  if (wanted.chainId !== undefined) return chainId(found) === wanted.chainId;
  return wanted.diffIds === undefined || sameLayers(found, wanted.diffIds);
}

const sameLayers = (a: readonly Digest[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((diffId, index) => diffId === b[index]);
