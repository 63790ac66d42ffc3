import type { TestCluster } from "./cluster.ts";

/** The part of a Pod that the scenarios look at. */
export interface PodState {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase?: string;
    readonly reason?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly ready: boolean;
      readonly lastState?: { readonly terminated?: { readonly reason?: string } };
    }[];
  };
}

export interface StatefulSetOptions {
  readonly name: string;
  readonly replicas?: number;
  /** Fields of its container. */
  readonly container?: Readonly<Record<string, unknown>>;
  /** Fields of its pods. */
  readonly pod?: Readonly<Record<string, unknown>>;
}

/** A StatefulSet of busybox whose pods are kept by label. */
export const statefulSet = ({ name, replicas = 1, container = {}, pod = {} }: StatefulSetOptions) => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name },
  spec: {
    replicas,
    serviceName: name,
    podManagementPolicy: "Parallel",
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name, "backup.container.io/enabled": "true" } },
      spec: {
        terminationGracePeriodSeconds: 1,
        tolerations: [{ operator: "Exists", effect: "NoExecute", tolerationSeconds: 1 }],
        containers: [
          {
            name: "main",
            image: "localhost/busybox:latest",
            imagePullPolicy: "Never",
            command: ["sleep", "1000000"],
            ...container,
          },
        ],
        ...pod,
      },
    },
  },
});

const busybox = {
  name: "main",
  image: "localhost/busybox:latest",
  imagePullPolicy: "Never",
  command: ["sleep", "1000000"],
};

/** A Deployment of one busybox that is kept by label. */
export const deployment = (name: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    replicas: 1,
    strategy: { type: "Recreate" },
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name, "backup.container.io/enabled": "true" } },
      spec: { terminationGracePeriodSeconds: 1, containers: [busybox] },
    },
  },
});

/** A pod whose container writes its name and ends. */
export const shortPod = (name: string, nodeName: string) => ({
  metadata: { name, labels: { app: "short" } },
  spec: {
    nodeName,
    restartPolicy: "Never",
    containers: [{ ...busybox, command: ["sh", "-c", `echo ${name} > /root/name`] }],
  },
});

/** A pod that may ask the agent, with a token for it. `image` and `runtimeClassName` differ where they are named. */
export const servicePod = (
  name: string,
  nodeName: string,
  { image = busybox.image, ...more }: { readonly image?: string; readonly runtimeClassName?: string } = {},
) => ({
  metadata: {
    name,
    labels: { "backup.container.io/enabled": "true" },
    annotations: { "aeon.io/container-service": "true" },
  },
  spec: {
    nodeName,
    ...more,
    terminationGracePeriodSeconds: 1,
    containers: [
      { ...busybox, image, volumeMounts: [{ name: "token", mountPath: "/var/run/secrets/aeon" }] },
    ],
    volumes: [
      {
        name: "token",
        projected: {
          sources: [{ serviceAccountToken: { audience: "aeon", expirationSeconds: 600, path: "token" } }],
        },
      },
    ],
  },
});

/** Waits until a pod runs and is not the one with the id `not`. */
export const runningPod = ({ server }: TestCluster, name: string, not?: string): Promise<PodState> =>
  server.admin.until<PodState>(
    `/api/v1/namespaces/default/pods/${name}`,
    ({ metadata, status }) =>
      metadata.uid !== not &&
      metadata.deletionTimestamp === undefined &&
      status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ===
        true,
    120_000,
  );

/** Runs a shell command in a pod's container and answers its output. */
export const inPod = ({ server }: TestCluster, name: string, script: string): Promise<string> =>
  server.kubectl(["exec", name, "--", "sh", "-c", script]);
