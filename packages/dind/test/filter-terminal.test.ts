import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { docker } from "./support/cli.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";
import { tarEnd, tarEntry } from "./support/tar-entry.ts";
import { openTerminal } from "./support/terminal.ts";

/** How long streams stay without a byte, at least; `npm run soak -- dind` takes half an hour. */
const idleSeconds = Number(process.env["AEON_DIND_IDLE_SECONDS"] ?? 130);
const gigabytes = 2;

let pod: FilteredDocker;
beforeAll(async () => {
  pod = await launchFilteredDocker({ line: "28" });
});
afterAll(async () => {
  await pod[Symbol.asyncDispose]();
});

const ok = async (...args: readonly string[]): Promise<string> => {
  const { code, text } = await docker(pod, args, { timeoutMs: 120_000 });
  expect([args, code, text]).toEqual([args, 0, expect.any(String)]);
  return text.trim();
};
const until = (size: string): string =>
  `until [ "$(stty size 2>/dev/null)" = "${size}" ]; do sleep 0.05; done`;
const untilResized = `${until("24 80")}; echo begun; ${until("33 99")}; echo resized; exit 3`;

test.concurrent(
  `streams that say nothing for ${idleSeconds} s go on (test 52)`,
  async () => {
    await ok("run", "-d", "-i", "--name", "quiet", "busybox", "sh", "-c", "echo first; read x; echo $x");
    const run = (...args: readonly string[]) =>
      docker(pod, args, { timeoutMs: 0x7fff_ffff, hold: async () => undefined });
    const logs = run("logs", "-f", "quiet");
    const waiting = run("wait", "quiet");
    const attached = docker(pod, ["attach", "quiet"], {
      timeoutMs: 0x7fff_ffff,
      hold: async (child) => {
        await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000));
        // Not the end: dockerd takes that for a client that leaves.
        child.stdin.write("last\n");
      },
    });
    // What an HTTP client keeps open, without a request on it.
    const kept = connect(pod.socket);
    kept.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    await once(kept, "data");
    expect((await attached).text).toBe("last\n");
    expect((await logs).text).toBe("first\nlast\n");
    expect((await waiting).text).toBe("0\n");
    kept.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    const [answer] = (await once(kept, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200 OK/);
    kept.destroy();
  },
  (idleSeconds + 60) * 1000,
);

test.concurrent("a terminal takes the size of the client's, in run and exec (test 52)", async () => {
  const first = openTerminal(pod, `run -it --rm --name sized busybox sh -c '${untilResized}'`);
  await first.shows("begun");
  await first.resize(99, 33);
  await first.shows("resized");
  expect(await first.ended).toBe(3);
  await ok("run", "-d", "--name", "host-of-exec", "busybox", "sleep", "1000");
  const second = openTerminal(pod, `exec -it host-of-exec sh -c '${untilResized}'`);
  await second.shows("begun");
  await second.resize(99, 33);
  await second.shows("resized");
  expect(await second.ended).toBe(3);
  await ok("rm", "-f", "host-of-exec");
});

test.concurrent("detach keys leave the container running, and attach finds it again (test 52)", async () => {
  const keys = "--detach-keys ctrl-a,d";
  const script = "sh -c 'echo ready; read x; echo got $x; read y; echo bye $y; exit 5'";
  const first = openTerminal(pod, `run -it --name left ${keys} busybox ${script}`);
  await first.shows("ready");
  first.type("\u0001d");
  expect(await first.ended).toBe(0);
  expect(await ok("inspect", "-f", "{{.State.Running}}", "left")).toBe("true");
  const second = openTerminal(pod, `attach ${keys} left`);
  // Typed before docker reads it stays in the terminal.
  await second.shows("/dev/pts");
  second.type("one\r");
  await second.shows("got one");
  second.type("\u0001d");
  await second.ended;
  const third = openTerminal(pod, "attach left");
  await third.shows("/dev/pts");
  third.type("two\r");
  await third.shows("bye two");
  expect(await third.ended).toBe(5);
  await ok("rm", "left");
});

test.concurrent(`save and load of ${gigabytes} GB in flat memory (tests 52, 57)`, async () => {
  const resident = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pod.filterPid}/status`, "utf8"))?.[1]) / 1024;
  // Rather than in the image's own layers: every byte of it crosses the filter.
  const made = await docker(pod, ["import", "-", "large:1"], {
    timeoutMs: 120_000,
    hold: async ({ stdin }) => {
      const block = Buffer.alloc(1024 ** 2, "large");
      stdin.write(tarEntry("large", { size: gigabytes * 1024 ** 3 }));
      for (let megabyte = 0; megabyte < gigabytes * 1024; megabyte += 1)
        if (!stdin.write(block)) await once(stdin, "drain");
      stdin.end(tarEnd);
    },
  });
  expect(made).toMatchObject({ code: 0 });
  const id = await ok("images", "-q", "--no-trunc", "large:1");
  const before = resident();
  const file = join(pod.dockerd.folder, "large.tar");
  await ok("save", "-o", file, "large:1");
  const saved = resident();
  await ok("rmi", "large:1");
  expect(await ok("load", "-q", "-i", file)).toContain("large:1");
  expect(await ok("images", "-q", "--no-trunc", "large:1")).toBe(id);
  expect(Math.max(saved, resident()) - before).toBeLessThan(100);
  rmSync(file);
  await ok("rmi", "large:1");
});
