import { readdir, readFile } from "node:fs/promises";
import type { Task } from "@aeon/containerd";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController } from "../src/index.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { namespace } from "./open-controller.ts";
import { importTools, shell, startRegistry, tearDown } from "./support/main-tools.ts";

const main = { namespace, id: "main" };
let setup: Setup;
let controller: DindController;
let task: Task;

beforeAll(async () => {
  setup = await setUp();
  controller = await setup.controller();
  task = await setup.main("main");
  await controller.start(main, AbortSignal.timeout(90_000));
  await importTools(setup, task);
  await shell(setup, task, "tar -C / -c bin | docker import - busybox; mkdir /b; echo context > /b/file");
}, 300_000);

afterAll(() => tearDown(setup, controller), 120_000);

const dockerfile = String.raw`printf 'FROM busybox\nARG WHO\nCOPY file /file\nRUN cat /file && echo built by $WHO > /who\n' > /b/Dockerfile`;

test("classic build, buildx and bake in a container", async () => {
  await shell(setup, task, dockerfile);
  await shell(setup, task, "DOCKER_BUILDKIT=0 docker build -t one --build-arg WHO=classic /b");
  expect(await shell(setup, task, "docker run --rm one /bin/cat /who")).toBe("built by classic\n");
  await shell(setup, task, "docker buildx build --progress plain -t two --build-arg WHO=buildx /b");
  expect(await shell(setup, task, "docker run --rm two /bin/cat /who")).toBe("built by buildx\n");
  const bake = JSON.stringify({
    target: { default: { context: "/b", tags: ["three"], args: { WHO: "bake" } } },
  });
  await shell(setup, task, `echo '${bake}' > /b/docker-bake.json`);
  await shell(
    setup,
    task,
    "cd /b && BUILDX_BAKE_ENTITLEMENTS_FS=0 docker buildx bake --progress plain -f docker-bake.json",
  );
  expect(await shell(setup, task, "docker run --rm three /bin/cat /who")).toBe("built by bake\n");
});

test("compose in a container: names, healthy services, ports, binds and volumes", async () => {
  const file = `services:
  web:
    image: busybox
    command: ["/bin/sh", "-c", "mkdir -p /www; cp /host/file /www/index.html; httpd -f -p 80 -h /www"]
    ports: ["8099:80"]
    volumes: ["data:/data", "./:/host"]
    healthcheck: { test: ["CMD", "/bin/wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 20 }
  client:
    image: busybox
    command: ["/bin/sh", "-c", "wget -qO- http://web/"]
    depends_on: { web: { condition: service_healthy } }
volumes: { data: {} }
`;
  await shell(setup, task, `cat > /b/compose.yaml <<'END'\n${file}END`);
  const compose = (words: string): Promise<string> => shell(setup, task, `cd /b && docker compose ${words}`);
  await compose("up -d");
  await expect.poll(() => compose("logs --no-log-prefix client"), { interval: 200 }).toContain("context");
  // The published port is the container's own: they share the network.
  expect(await shell(setup, task, "wget -qO- http://127.0.0.1:8099/")).toBe("context\n");
  expect(await compose("up -d")).not.toContain("Recreate");
  await compose("down -v -t 0");
  expect(await shell(setup, task, "docker ps -aq; docker volume ls -q")).toBe("");
});

test("docker's command line in an inner container that mounts the socket, three deep", async () => {
  const inside = "docker run --rm -v /var/run/docker.sock:/var/run/docker.sock tools";
  expect(await shell(setup, task, `${inside} ${inside} ${inside} docker ps -q | wc -l`)).toBe("3\n");
  // It is the filtered one there too.
  expect(await shell(setup, task, `${inside} docker run --privileged busybox /bin/true`, 125)).toContain(
    "aeon:",
  );
});

test("push to a registry and pull from it, with credentials of 20 kB", async () => {
  await using _ = await startRegistry(setup, task, 5099);
  const auth = {
    auths: { "127.0.0.1:5099": { auth: "", identitytoken: "", registrytoken: "t".repeat(20_000) } },
  };
  await shell(
    setup,
    task,
    `mkdir -p /root/.docker; echo '${JSON.stringify(auth)}' > /root/.docker/config.json`,
  );
  await shell(
    setup,
    task,
    "export HOME=/root; docker tag busybox 127.0.0.1:5099/team/box:1 && docker push -q 127.0.0.1:5099/team/box:1",
  );
  const before = await shell(setup, task, "docker images -q 127.0.0.1:5099/team/box:1");
  await shell(setup, task, "docker rmi 127.0.0.1:5099/team/box:1");
  await shell(setup, task, "export HOME=/root; docker pull -q 127.0.0.1:5099/team/box:1");
  expect(await shell(setup, task, "docker images -q 127.0.0.1:5099/team/box:1")).toBe(before);
});

/** Cgroup lines of a process on this machine by its arguments; undefined while there is none. */
async function cgroupsOf(...args: readonly string[]): Promise<readonly string[] | undefined> {
  for (const name of await readdir("/proc")) {
    const found = /^\d+$/.test(name) ? await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "") : "";
    if (found === `${args.join("\0")}\0`)
      return (await readFile(`/proc/${name}/cgroup`, "utf8")).trim().split("\n");
  }
  return undefined;
}

test.each([
  ["run", "docker run --rm --cgroup-parent ../../../evil busybox /bin/sleep 4201", 4201],
  [
    "classic build",
    "DOCKER_BUILDKIT=0 docker build --no-cache --cgroup-parent ../../../evil --build-arg T=4202 -f /b/Sleep /b",
    4202,
  ],
  [
    "buildx",
    "docker buildx build --no-cache --cgroup-parent ../../../evil --build-arg T=4203 -f /b/Sleep /b",
    4203,
  ],
])(
  "whatever cgroup a client asks for, %s stays below the main container's (test 31)",
  async (how, command, seconds) => {
    await shell(
      setup,
      task,
      String.raw`printf 'FROM busybox\nARG T\nRUN ["/bin/sh", "-c", "exec /bin/sleep $T"]\n' > /b/Sleep`,
    );
    const work = await task.exec({ args: ["sh", "-c", command] });
    await work.start();
    let lines: readonly string[] | undefined;
    await expect
      .poll(async () => (lines = await cgroupsOf("/bin/sleep", String(seconds))), {
        timeout: 30_000,
        interval: 50,
      })
      .toBeDefined();
    await work.kill("SIGKILL");
    // A build ends with the client that asked for it.
    const isOver = async (): Promise<boolean> =>
      (await cgroupsOf("/bin/sleep", String(seconds))) === undefined;
    await expect.poll(async () => how === "run" || isOver(), { interval: 50 }).toBe(true);
    // Hierarchies that runc does not use show the root.
    const paths = (lines ?? [])
      .map((line) => line.split(":").slice(2).join(":"))
      .filter((path) => path !== "/");
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths)
      expect(path).toMatch(new RegExp(`^/${namespace}/main/aeon-dind-[0-9a-f]+(?:/|$)`));
  },
);
