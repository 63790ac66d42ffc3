import { closeSync, openSync } from "node:fs";
import { chmod, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Task } from "@aeon/containerd";
import { linux, snapshotKey } from "@aeon/core";
import { defaultSpec, type RuntimeSpec } from "@aeon/oci";
import { run } from "@aeon/standalone";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController, DindSettings } from "../src/index.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { defaultSettings, namespace } from "./open-controller.ts";
import { endMain, importTools, shell, tearDown } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

const signal = AbortSignal.timeout(400_000);
const main = { namespace, id: "mapped" };
/** Host id of the container's root, and how many ids it has. */
const first = 1_900_000_000;
const size = 65_536;
let setup: Setup;
let controller: DindController;
let task: Task;
const changes = new Map<string, Partial<DindSettings>>();

/** As a pod with `hostUsers: false` has it: a user namespace that owns all others. */
function mappedSpec(id: string): RuntimeSpec {
  const spec = defaultSpec({
    id,
    namespace,
    args: ["/bin/sleep", "100000"],
    env: ["PATH=/bin:/usr/bin"],
    image: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } },
  });
  const mappings = [{ containerID: 0, hostID: first, size }];
  return {
    ...spec,
    linux: {
      ...spec.linux,
      namespaces: [...(spec.linux?.namespaces ?? []), { type: "user" }],
      uidMappings: mappings,
      gidMappings: mappings,
    },
  };
}

/** A main container whose files are its own root's, as a runtime that maps ids gives it. */
async function mappedMain(id: string): Promise<Task> {
  const container = await setup.client.createContainer(id, {
    image: "localhost/main:latest",
    spec: mappedSpec(id),
  });
  const [mount] = await setup.client.snapshotter("overlayfs").mounts({ key: snapshotKey(id) });
  const at = join(setup.folder, `root-${id}`);
  await run("mkdir", [at]);
  await run("mount", ["-t", mount?.type ?? "", "-o", mount?.options.join(",") ?? "", "none", at]);
  await run("chown", ["-R", `${first}:${first}`, at]);
  await run("umount", [at]);
  await rm(at, { recursive: true });
  const made = await container.newTask();
  await made.start();
  return made;
}

beforeAll(async () => {
  setup = await setUp();
  // As /run is.
  for (const path of [setup.containerd.folder, dirname(setup.containerd.folder)]) await chmod(path, 0o711);
  controller = await setup.controller({
    settings: ({ id }) => ({ ...defaultSettings, ...changes.get(id) }),
  });
  task = await mappedMain("mapped");
  await controller.start(main, signal);
  await importTools(setup, task);
}, 300_000);

afterAll(() => tearDown(setup, controller), 120_000);

const namespaceOf = async (process: number | undefined) => (await stat(`/proc/${process}/ns/user`)).ino;

test("in a pod with a user namespace root of the DinD container is nobody to the host", async () => {
  const { pid, isolation } = await controller.status(main);
  expect(isolation).toMatchObject({
    kind: "user-namespace",
    uids: [{ containerID: 0, hostID: first, size }],
  });
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  expect(status).toMatch(new RegExp(`^Uid:\t${first}\t${first}\t`, "m"));
  expect(await namespaceOf(pid)).toBe(await namespaceOf(task.pid));
  expect(await shell(setup, task, "docker run --rm tools /bin/cat /proc/self/uid_map")).toMatch(
    new RegExp(`^\\s*0\\s+${first}\\s+${size}\n$`),
  );
});

test("networks, ports, builds and binds work as without one", async () => {
  await shell(setup, task, "docker network create own; docker tag tools busybox");
  const web = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www";
  await shell(setup, task, `docker run -d --name web --network own -p 8098:80 tools /bin/sh -c '${web}'`);
  expect(await shell(setup, task, "docker run --rm --network own tools /bin/wget -qO- http://web/")).toBe(
    "served\n",
  );
  expect(await shell(setup, task, "wget -qO- http://127.0.0.1:8098/")).toBe("served\n");

  const build = String.raw`mkdir -p /b; printf 'FROM tools\nCOPY Dockerfile /f\nRUN chown 7:8 /f && stat -c %%u:%%g /f > /owner\n' > /b/Dockerfile`;
  await shell(setup, task, build);
  for (const [name, command] of [
    ["classic", "DOCKER_BUILDKIT=0 docker build -t classic /b"],
    ["buildx", "docker buildx build -t buildx /b"],
  ] as const) {
    await shell(setup, task, command);
    expect(await shell(setup, task, `docker run --rm ${name} /bin/cat /owner`)).toBe("7:8\n");
  }

  await shell(setup, task, "mkdir /data; echo ours > /data/file; chown 1000:1000 /data/file");
  const inner = "stat -c %u /data/file; cat /data/file; echo theirs > /data/made; chown 1001 /data/made";
  expect(await shell(setup, task, `docker run --rm -v /data:/data tools /bin/sh -c '${inner}'`)).toBe(
    "1000\nours\n",
  );
  expect(await shell(setup, task, "stat -c %u /data/made; cat /data/made")).toBe("1001\ntheirs\n");
  // A folder that is missing is made, in a file system of the pod's namespace too.
  await shell(setup, task, "docker run --rm -v /run/new/folder:/n tools /bin/sh -c 'echo new > /n/f'");
  expect(await shell(setup, task, "stat -c %u /run/new/folder; cat /run/new/folder/f")).toBe("0\nnew\n");
});

test("limits of inner containers hold, and their processes are counted below the main container's", async () => {
  const hog = "docker run --rm -m 64m tools /bin/sh -c 'a=x; while :; do a=$a$a$a$a; done'";
  await shell(setup, task, hog, 137);
  await shell(setup, task, "docker run -d --name limited --pids-limit 50 tools /bin/sleep 4301");
  const { pid } = await controller.status(main);
  const groups = await readFile(`/proc/${pid}/cgroup`, "utf8");
  expect(groups).toContain(`/${namespace}/mapped/aeon-dind-`);
  expect(await shell(setup, task, "docker exec limited /bin/sh -c 'cat /sys/fs/cgroup/pids/pids.max'")).toBe(
    "50\n",
  );
});

test("what is not given to a pod stays out of reach: nothing is the host's root, and the host's settings are read-only", async () => {
  const { pid } = await controller.status(main);
  const enter = (...command: string[]) =>
    run("nsenter", ["-t", String(pid), "-U", "-m", "-p", "-n", "--", ...command]).then(
      ({ stdout }) => stdout,
      (error: unknown) => String(error),
    );
  expect(await enter("/usr/bin/id", "-u")).toBe("0\n");
  expect(await enter("/bin/sh", "-c", "mknod /tmp/disk b 7 0 2>&1 || echo refused")).toContain("refused");
  expect(await enter("/bin/sh", "-c", "echo 1 > /proc/sys/kernel/panic || echo refused")).toContain(
    "refused",
  );
  expect(await enter("/bin/sh", "-c", "echo x > /usr/bin/dockerd || echo refused")).toContain("refused");
});

test("images and volumes outlive a change of the setting, both ways", async () => {
  await shell(setup, task, "docker rm -f web limited");
  await shell(setup, task, "docker run --rm -v kept:/v tools /bin/sh -c 'echo kept > /v/f; chown 5:6 /v/f'");
  const check = async (): Promise<void> => {
    expect(
      await shell(setup, task, "docker run --rm -v kept:/v tools /bin/sh -c 'stat -c %u:%g /v/f; cat /v/f'"),
    ).toBe("5:6\nkept\n");
  };
  for (const [userNamespace, kind] of [
    ["never", "reduced-privileges"],
    ["always", "user-namespace"],
  ] as const) {
    changes.set("mapped", { userNamespace });
    expect((await controller.restart(main, signal)).isolation?.kind).toBe(kind);
    await check();
  }
});

test("in one of its own it could neither configure the network nor show the main container's files: the kernel refuses", async () => {
  const own = ["--user", "--map-root-user", "--mount", "sh", "-c"];
  const attempt = async (script: string): Promise<string> => {
    const { stdout } = await run("unshare", [...own, `{ ${script}; } 2>/dev/null || echo refused`]);
    return stdout;
  };
  // The network's settings and its view in sysfs belong to the namespace that made it.
  expect(await attempt("echo 1 > /proc/sys/net/ipv4/ip_forward")).toBe("refused\n");
  expect(await attempt("mount -t sysfs sysfs /sys")).toBe("refused\n");
  expect(await attempt("mount -t tmpfs tmpfs /sys")).toBe("");
  const disk = openSync(setup.folder, linux.openFlags.path);
  const users = openSync(`/proc/${task.pid}/ns/user`, "r");
  try {
    const rootfs = openSync(
      join(setup.containerd.folder, "state/io.containerd.runtime.v2.task", namespace, "mapped/rootfs"),
      linux.openFlags.path,
    );
    const map = (fd: number): void => {
      const mount = linux.cloneMountSync(fd, { recursive: false });
      try {
        linux.mapMountSync(mount, users);
      } finally {
        closeSync(mount);
      }
    };
    map(disk);
    expect(() => map(rootfs)).toThrow("EINVAL");
    closeSync(rootfs);
  } finally {
    for (const fd of [disk, users]) closeSync(fd);
  }
});

test("an agent that starts knows in which namespace it is, and what ends leaves nothing", async () => {
  await controller[Symbol.asyncDispose]();
  controller = await setup.controller();
  await controller.settled();
  expect((await controller.status(main)).isolation?.kind).toBe("user-namespace");
  await endMain(setup, task, "mapped");
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
});

test("a container without a user namespace gets less power instead, and why is said; or nothing, where it has to have one", async () => {
  const plain = { namespace, id: "plain" };
  const other = await setup.main("plain");
  expect((await controller.start(plain, signal)).isolation).toEqual({
    kind: "reduced-privileges",
    reason: expect.stringContaining("hostUsers: false"),
  });
  await controller.stop(plain);
  await controller[Symbol.asyncDispose]();
  controller = await setup.controller({ settings: () => ({ ...defaultSettings, userNamespace: "always" }) });
  await controller.settled();
  await expect(controller.start(plain, signal)).rejects.toMatchObject({
    reason: "DIND_USER_NAMESPACE_UNAVAILABLE",
  });
  await endMain(setup, other, "plain");
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
});
