import * as v from "valibot";

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));

export const chainSchema = v.pipe(
  v.object({
    /** Whose data it is: nobody else's documents may name its blobs. */
    tenant: name,
    workload: name,
    container: name,
  }),
  v.readonly(),
);

/** What successive backups continue: a container of a workload, whatever pod, node or container id it has at a time. */
export type ChainKey = v.InferOutput<typeof chainSchema>;

export const isSameChain = (a: ChainKey, b: ChainKey): boolean =>
  a.tenant === b.tenant && a.workload === b.workload && a.container === b.container;

/** For people. */
export const chainName = ({ tenant, workload, container }: ChainKey): string =>
  `${tenant}/${workload}/${container}`;
