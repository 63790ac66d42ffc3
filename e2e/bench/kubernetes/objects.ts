/** A pod of about the usual size, bound to a node that nobody runs. */
export const podOf = (node: string, index: number) => ({
  metadata: {
    name: `${node}-${index}`,
    labels: { app: `app-${index % 500}`, "backup.container.io/enabled": "true" },
  },
  spec: {
    nodeName: node,
    containers: ["main", "side"].map((name) => ({
      name,
      image: `registry.example/${name}:v1`,
      env: [
        { name: "A", value: "a".repeat(80) },
        { name: "B", value: "b".repeat(80) },
      ],
      resources: { requests: { cpu: "10m", memory: "32Mi" } },
    })),
  },
});

/** A resource with a status of its own, as the backups' records have. */
export const backupResource = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "backups.bench.container.io" },
  spec: {
    group: "bench.container.io",
    scope: "Namespaced",
    names: { plural: "backups", kind: "Backup" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
            },
          },
        },
      },
    ],
  },
};

export const backupObject = (index: number) => ({
  apiVersion: "bench.container.io/v1",
  kind: "Backup",
  metadata: { name: `b-${index}` },
  spec: { pod: `node-${index}-0`, container: "main" },
});

export const backupStatus = (index: number) => ({
  ...backupObject(index),
  spec: undefined,
  status: {
    phase: "Uploading",
    node: `node-${index}`,
    digest: `sha256:${"0".repeat(64)}`,
    bytesDone: index,
    bytesTotal: 1_000_000,
    files: 1234,
    startedAt: "2026-01-01T00:00:00Z",
    parent: `b-${index}-parent`,
  },
});
