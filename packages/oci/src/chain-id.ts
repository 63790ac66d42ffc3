import { digestOf, type Digest } from "./digest.ts";

/**
 * The names under which containerd commits the layers of an image, lowest first: the first is the layer's diff id,
 * each further one the digest of "chain id of the layers below, space, diff id" (image-spec config.md, ChainID).
 */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}

/** The chain id of a whole stack of layers; undefined when there is none. */
export const chainId = (diffIds: readonly Digest[]): Digest | undefined => chainIds(diffIds).at(-1);
