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

/** A pod whose container writes its name and ends. `more` are further fields of its spec. */
export const shortPod = (name: string, nodeName: string, more: Readonly<Record<string, unknown>> = {}) => ({
  metadata: { name, labels: { app: "short" } },
  spec: {
    nodeName,
    ...more,
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

interface Events {
  readonly items: readonly {
    readonly reason: string;
    readonly type: string;
    readonly message: string;
    readonly involvedObject: { readonly kind: string; readonly name: string };
  }[];
}

/** Pods that start and end all the time. */
export interface ShortPods {
  /** Of all so far. */
  readonly names: readonly string[];
  /** Lets the last ones end, and gives what the cluster complained of. */
  end(): Promise<Events["items"]>;
}

const hasEnded = ({ status }: PodState): boolean => status.phase === "Succeeded" || status.phase === "Failed";

/** Starts three at a time, each as {@link shortPod}. */
export function runShortPods(
  { server }: TestCluster,
  nodeName: string,
  more: Readonly<Record<string, unknown>> = {},
): ShortPods {
  const pods = "/api/v1/namespaces/default/pods";
  const names: string[] = [];
  const over = new AbortController();
  const startAndEnd = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const name = `short-${names.length}`;
      names.push(name);
      await server.admin.create(pods, shortPod(name, nodeName, more));
      const { status } = await server.admin.until<PodState>(`${pods}/${name}`, hasEnded, 120_000);
      if (status.phase !== "Succeeded") throw new Error(`pod ${name} has ${status.phase}: ${status.reason}`);
      await server.admin.remove(`${pods}/${name}`);
    }
  };
  const running = Promise.all([startAndEnd(), startAndEnd(), startAndEnd()]);
  // Whoever ends them hears of it.
  running.catch(() => {});
  return {
    names,
    async end() {
      over.abort();
      await running;
      const { items } = await server.admin.get<Events>("/api/v1/namespaces/default/events");
      return items.filter(
        ({ type, involvedObject, reason }) =>
          involvedObject.name.startsWith("short-") && type === "Warning" && reason !== "MissingClusterDNS",
      );
    },
  };
}
