/** Runs Docker in a container where only cgroup v2 is to be seen, and prints what it saw as JSON. */
import { globSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { setUp } from "./dind-setup.ts";
import { namespace } from "./open-controller.ts";
import { endMain, importTools, shell } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

/** Path in cgroup v2 of the process with these arguments. */
async function groupOf(...args: readonly string[]): Promise<string | undefined> {
  for (const pid of await readdir("/proc")) {
    const found = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "") : "";
    if (found !== `${args.join("\0")}\0`) continue;
    return /^0::(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1];
  }
  return undefined;
}

await using setup = await setUp();
await using controller = await setup.controller();
const id = "unified";
const task = await setup.main(id);
await controller.start({ namespace, id }, AbortSignal.timeout(90_000));
await importTools(setup, task);
const version = await shell(setup, task, "docker info -f '{{.CgroupVersion}} {{.CgroupDriver}}'");
await shell(setup, task, `docker run -d --name inner tools /bin/sleep 4401${process.pid}`);
const group = await groupOf("/bin/sleep", `4401${process.pid}`);
const { pid } = await controller.status({ namespace, id });
const dockerd = /^0::(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1];
const open = "(exec 3<>/dev/door) 2>/dev/null && echo opens || echo closed";
const door = await shell(
  setup,
  task,
  `docker exec inner /bin/sh -c 'mknod /dev/door c 10 229; ${open}; mknod /dev/nothing c 1 3; echo x > /dev/nothing && echo writes'`,
);
const restarted = await controller.restart({ namespace, id }, AbortSignal.timeout(90_000));
const again = await shell(setup, task, "docker run --rm tools /bin/echo again");
await endMain(setup, task, id);
const deadline = Date.now() + 60_000;
while (controller.list().length > 0 && Date.now() < deadline) await sleep(50);
const left = [
  ...(await traces(setup.folder)),
  ...globSync(`/sys/fs/cgroup/${namespace}/*`).filter((path) => path.includes(id)),
];
console.log(
  JSON.stringify({ namespace, version, group, dockerd, door, state: restarted.state, again, left }),
);
