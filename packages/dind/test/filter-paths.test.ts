import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call } from "./support/call.ts";
import { docker } from "./support/cli.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";
import { tarEnd, tarEntry } from "./support/tar-entry.ts";

let pod: FilteredDocker;
let main: string;
beforeAll(async () => {
  pod = await launchFilteredDocker();
  ({ main } = pod.dockerd);
  mkdirSync(join(main, "root"));
  writeFileSync(join(main, "root/private"), "of-main\n");
  mkdirSync(join(main, "data"));
  writeFileSync(join(main, "data/file"), "data-of-main\n");
});
afterAll(async () => {
  await pod[Symbol.asyncDispose]();
});

const cli = (...args: readonly string[]) => docker(pod, args);
const sh = (bind: string, script: string) => cli("run", "--rm", "-v", bind, "busybox", "sh", "-c", script);
const link = (target: string, name: string): void => {
  rmSync(join(main, name), { force: true, recursive: true });
  symlinkSync(target, join(main, name));
};

test("D has something that must not be reached", async () => {
  expect(await pod.dockerd.inside("cat /root/private")).toBe("secret-of-dockerd\n");
});

test.each([
  ["an absolute link", "/root", "/links/l", "/private"],
  ["a relative link", "../../../../root", "/links/l", "/private"],
  ["a link in the middle", "/", "/links/l/root", "/private"],
  ["dots behind a link", "/data", "/links/l/../root", "/private"],
])("%s stays in the main container (tests 39, 40)", async (_what, target, source, file) => {
  mkdirSync(join(main, "links"), { recursive: true });
  link(target, "links/l");
  expect((await sh(`${source}:/x`, `cat /x${file}`)).text).toBe("of-main\n");
  const mount = await cli(
    "run",
    "--rm",
    "--mount",
    `type=bind,src=${source},dst=/x`,
    "busybox",
    "cat",
    `/x${file}`,
  );
  expect(mount.text).toBe("of-main\n");
});

test.each(["/proc/1/root", "/proc/self/root/etc", "/host", "/run/aeon/pins", "/var/lib/docker"])(
  "a link to %s reaches nothing of D (test 40)",
  async (target) => {
    mkdirSync(join(main, "links"), { recursive: true });
    link(target, "links/l");
    const { text } = await cli(
      "run",
      "--rm",
      "--mount",
      "type=bind,src=/links/l,dst=/x",
      "busybox",
      "ls",
      "/x",
    );
    expect(text).not.toMatch(/docker\.sock|overlay2|private-of-d/);
  },
);

test("a folder that becomes a link after create is still the folder (tests 41, 42)", async () => {
  mkdirSync(join(main, "swapped"));
  writeFileSync(join(main, "swapped/file"), "old\n");
  const id = (
    await cli("create", "-v", "/swapped:/x", "busybox", "cat", "/x/file", "/x/private")
  ).text.trim();
  renameSync(join(main, "swapped"), join(main, "moved"));
  link("/../../root", "swapped");
  expect((await cli("start", "-a", id)).text).toContain("old\n");
  expect((await cli("start", "-a", id)).text).not.toContain("secret");
  const target = join(pod.dockerd.folder, "copied");
  await docker(pod, ["cp", `${id}:/x`, target]);
  expect(readdirSync(target)).toEqual(["file"]);
  await pod.dockerd.restartDockerd();
  expect((await cli("start", "-a", id)).text).toContain("old\n");
  await cli("rm", id);
});

test("pins are there again in a new D before dockerd starts, and only for the same file (tests 42, 59)", async () => {
  // Those of removed containers go when the filter hears of it.
  await expect.poll(async () => (await pod.status()).pins, { timeout: 15_000 }).toBe(0);
  mkdirSync(join(main, "keep"));
  writeFileSync(join(main, "keep/file"), "kept\n");
  mkdirSync(join(main, "lost"));
  const kept = (await cli("create", "-v", "/keep:/x", "busybox", "cat", "/x/file")).text.trim();
  const lost = (await cli("create", "-v", "/lost:/x", "busybox", "ls", "/x")).text.trim();
  renameSync(join(main, "lost"), join(main, "lost-before"));
  link("/root", "lost");
  let answer: unknown;
  await pod.replaceDocker(async (pid) => {
    const daemon = { pid, mainRoot: "/mainroot", pinFolder: "/run/aeon/pins" };
    answer = (await pod.control("PUT", "/daemon", daemon)).json;
  });
  expect(answer).toEqual({ pins: 2, lost: ["/lost"] });
  expect((await cli("start", "-a", kept)).text).toBe("kept\n");
  const refused = await cli("start", "-a", lost);
  expect(refused.code).not.toBe(0);
  expect(refused.text).toContain("/lost");
  expect(refused.text).not.toContain("/run/aeon");
  await cli("rm", kept, lost);
});

test("a missing folder is made in the main container only, also through a link (test 44)", async () => {
  mkdirSync(join(main, "made"));
  link("/made", "way");
  expect((await sh("/way/new/deep:/x", "touch /x/here")).code).toBe(0);
  expect(existsSync(join(main, "made/new/deep/here"))).toBe(true);
  expect(await pod.dockerd.inside("ls / | grep -c made || true")).toBe("0\n");
  const refused = await cli("run", "--rm", "--mount", "type=bind,src=/not-there,dst=/x", "busybox", "true");
  expect(refused.text).toContain("bind source path does not exist: /not-there");
});

test.each(["/proc", "/sys", "/sys/fs", "/dev", "/dev/null", "/proc/sys"])(
  "-v %s is denied (test 45)",
  async (path) => {
    expect((await sh(`${path}:/x`, "ls /x")).text).toMatch(/is on (proc|sysfs)|device|\/dev/);
  },
);

test("the whole tree comes without doors to the kernel, and with its volumes (tests 45, 46)", async () => {
  writeFileSync(join(pod.dockerd.mainMount("run"), "pidfile"), "1\n");
  const { text } = await sh(
    "/:/h",
    "exec 2>&1; ls /h/proc /h/sys /h/dev; cat /h/run/pidfile /h/secret/token; echo x > /h/secret/token; echo x > /h/volume/new",
  );
  expect(text).toContain("/h/dev:\n\n/h/proc:\n\n/h/sys:\n1\npod-secret\n");
  expect(text).toContain("Read-only file system");
  expect(readFileSync(join(pod.dockerd.mainMount("volume"), "new"), "utf8")).toBe("x\n");
  expect(readFileSync(join(pod.dockerd.mainMount("secret"), "token"), "utf8")).toBe("pod-secret\n");
});

test("a read-only mount stays read-only under a bind of its own", async () => {
  expect((await sh("/secret:/x", "exec 2>&1; cat /x/token; echo x > /x/token")).text).toMatch(
    /pod-secret\n.*Read-only file system/s,
  );
});

test("a volume on one of the main container's folders is that folder (test 34)", async () => {
  const options = ["--opt", "type=none", "--opt", "o=bind", "--opt", "device=/data", "data-volume"];
  expect((await cli("volume", "create", ...options)).text).toBe("data-volume\n");
  expect((await sh("data-volume:/x", "cat /x/file")).text).toBe("data-of-main\n");
  expect((await cli("volume", "inspect", "data-volume")).text).toContain('"device": "/data"');
  expect((await cli("volume", "create", ...options)).code).toBe(0);
  const other = ["--opt", "type=none", "--opt", "o=bind", "--opt", "device=/root", "data-volume"];
  expect((await cli("volume", "create", ...other)).text).toContain("other options");
  await cli("volume", "rm", "data-volume");
});

test("a link in a volume does not lead out of its subpath (test 49)", async () => {
  await cli("volume", "create", "sub");
  await sh("sub:/x", "ln -s /etc /x/l; ln -s ../../../../../.. /x/up");
  for (const path of ["l", "up", "up/root"]) {
    const mount = `type=volume,src=sub,dst=/y,volume-subpath=${path}`;
    const { code, text } = await cli("run", "--rm", "--mount", mount, "busybox", "ls", "/y");
    expect([code, text]).toEqual([expect.any(Number), expect.not.stringContaining("private-of-d")]);
    expect(code).not.toBe(0);
  }
  await cli("volume", "rm", "sub");
});

test("the socket in an inner container is the filtered one (test 47)", async () => {
  const id = (
    await cli("run", "-d", "-v", "/run/docker.sock:/var/run/docker.sock", "busybox", "sleep", "60")
  ).text.trim();
  const raw = (await pod.raw("GET", `/containers/${id}/json`)).json as { State: { Pid: number } };
  const inner = `/proc/${await hostPid(raw.State.Pid)}/root/var/run/docker.sock`;
  expect((await call(inner, "GET", "/_ping")).text).toBe("OK");
  expect(
    (await call(inner, "POST", "/containers/create", { Image: "busybox", HostConfig: { Privileged: true } }))
      .status,
  ).toBe(403);
  await cli("rm", "-f", id);
});

/** The host's number of a process of D. */
async function hostPid(inner: number): Promise<number> {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const ids = /^NSpid:\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "utf8"));
      if (Number(ids?.[2]) !== inner) continue;
      if (readFileSync(`/proc/${name}/cgroup`, "utf8").includes(pod.dockerd.cgroup)) return Number(ids?.[1]);
    } catch {
      // It ended meanwhile.
    }
  }
  throw new Error(`no process ${inner}`);
}

test("archives reach dockerd as plain tars (test 51)", async () => {
  const id = (await cli("create", "busybox", "true")).text.trim();
  const tar = execFileSync("tar", ["-C", join(main, "data"), "-cf", "-", "file"]);
  const put = (body: Buffer) => pod.api("PUT", `/containers/${id}/archive?path=/tmp`, body);
  expect((await put(tar)).status).toBe(200);
  expect((await put(gzipSync(tar))).status).toBe(200);
  expect((await put(execFileSync("xz", { input: tar }))).status).toBe(400);
  expect((await put(Buffer.alloc(600, 1))).status).toBe(400);
  expect((await put(gzipSync(Buffer.alloc(600, 1)))).status).toBe(400);
  const evil = execFileSync("tar", [
    "-C",
    main,
    "-P",
    "--transform",
    "s,data/file,../../../../etc/planted,",
    "-cf",
    "-",
    "data/file",
  ]);
  await put(evil);
  expect(await pod.dockerd.inside("ls /etc | grep -c planted || true")).toBe("0\n");
  await cli("rm", id);
});

test("no program of a container unpacks an archive, and nothing of one leaves the container (test 51)", async () => {
  // What dockerd once ran in the container's tree, with its own rights.
  const names = ["xz", "unpigz", "gzip", "gunzip", "bzip2", "zstd"];
  const plant = `mkdir -p /usr/bin; for name in ${names.join(" ")}; do for folder in /bin /usr/bin; do rm -f $folder/$name; printf '#!/bin/sh\\ntouch /ran\\n' > $folder/$name; chmod 755 $folder/$name; done; done`;
  expect((await cli("run", "--name", "planted", "busybox", "sh", "-c", plant)).code).toBe(0);
  const put = (body: Buffer) => pod.api("PUT", "/containers/planted/archive?path=/", body);
  const tar = Buffer.concat([tarEntry("file", { content: "content" }), tarEnd]);
  expect((await put(gzipSync(tar))).status).toBe(200);
  expect((await put(zstdCompressSync(tar))).status).toBe(200);
  expect((await put(execFileSync("xz", { input: tar }))).status).toBe(400);
  // A tar whose first name begins as a compressed file does.
  for (const magic of [
    "\u001f\u008b\u0008",
    "BZh",
    "\u00fd7zXZ\u0000",
    "\u0028\u00b5\u002f\u00fd",
    "\u0050\u002a\u004d\u0018",
  ]) {
    const disguised = Buffer.concat([tarEntry(`${magic}x`), tarEnd]);
    expect((await put(disguised)).status).toBe(400);
    expect((await put(gzipSync(disguised))).status).toBe(400);
  }
  const links = [
    tarEntry("to-etc", { type: "2", link: "/etc" }),
    tarEntry("to-etc/through", { content: "x" }),
    tarEntry("../../etc/above", { content: "x" }),
    tarEntry("/etc/absolute", { content: "x" }),
    tarEntry("hard", { type: "1", link: "/etc/private-of-d" }),
    tarEnd,
  ];
  await put(Buffer.concat(links));
  const device = deviceOf(pod.dockerd.folder);
  expect((await put(Buffer.concat([tarEntry("disk", { type: "4", device }), tarEnd]))).status).toBe(200);
  expect((await cli("diff", "planted")).text).toMatch(/^A \/file$/m);
  expect((await cli("diff", "planted")).text).not.toMatch(/\/ran$/m);
  expect(await pod.dockerd.inside("ls -a / /etc /root")).not.toMatch(/^(ran|through|above|absolute|hard)$/m);
  expect((await cli("commit", "planted", "with-disk")).code).toBe(0);
  const read = await cli(
    "run",
    "--rm",
    "with-disk",
    "sh",
    "-c",
    "ls -l /disk; cat /hard; dd if=/disk of=/dev/null bs=512 count=1",
  );
  expect(read.text).toMatch(/^b.*\/disk$/m);
  expect(read.text).toContain("Operation not permitted");
  expect(read.text).not.toContain("private-of-d\n");
  await cli("rm", "planted");
});

/** Numbers of the disk that a folder is on. */
function deviceOf(folder: string): readonly [number, number] {
  const { dev } = statSync(folder);
  return [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
}

test("10 000 exchanges of a folder and a link during create and start: no escape (test 43)", async () => {
  mkdirSync(join(main, "race"));
  mkdirSync(join(main, "race/a"));
  writeFileSync(join(main, "race/a/inside"), "");
  symlinkSync("../../../../../../../../etc", join(main, "race/b"));
  const program = join(import.meta.dirname, "support/swap-links.ts");
  const swapper = spawn(process.execPath, [
    "--conditions=@aeon/source",
    program,
    join(main, "race/a"),
    join(main, "race/b"),
  ]);
  let output = "";
  swapper.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await expect.poll(() => output).toContain("swapping");
  const seen = new Map<string, number>();
  const shown: string[] = [];
  const started = performance.now();
  for (
    let round = 0;
    (round < 100 || !output.includes("enough")) && performance.now() - started < 90_000;
    round += 1
  ) {
    const HostConfig = { Binds: ["/race/a:/x"] };
    const made = await pod.api("POST", "/containers/create", {
      Image: "busybox",
      Cmd: ["ls", "/x"],
      HostConfig,
    });
    const id = (made.json as { Id?: string }).Id;
    if (id === undefined) {
      seen.set(`refused ${made.status}`, (seen.get(`refused ${made.status}`) ?? 0) + 1);
      continue;
    }
    const { Mounts } = (await pod.raw("GET", `/containers/${id}/json`)).json as {
      Mounts: { Source: string }[];
    };
    const names = readdirSync(`/proc/${pod.dockerd.pid}/root${Mounts[0]?.Source}`).toSorted().join(" ");
    seen.set(names, (seen.get(names) ?? 0) + 1);
    // Every tenth is started: what it sees itself counts.
    if (round % 10 === 0) shown.push((await cli("start", "-a", id)).text);
    await pod.api("DELETE", `/containers/${id}?force=1`);
  }
  swapper.stdin.end();
  await once(swapper, "close");
  const swaps = Number(output.trim().split("\n").at(-1));
  expect(swaps).toBeGreaterThanOrEqual(10_000);
  expect(shown.join("")).not.toContain("private-of-d");
  expect(shown.length).toBeGreaterThan(3);
  for (const names of seen.keys()) expect(names).toMatch(/^(inside|hostname|refused 400)$/);
  expect([...seen.keys()]).toEqual(expect.arrayContaining(["inside", "hostname"]));
});

test("no pin stays when its container is gone, and none when dockerd refuses", async () => {
  const answer = await pod.api("POST", "/containers/create", {
    Image: "no-such-image",
    HostConfig: { Binds: ["/data:/x"] },
  });
  expect(answer.status).toBe(404);
  await pod.api("POST", "/containers/prune");
  await expect.poll(async () => (await pod.status()).pins, { timeout: 15_000 }).toBe(0);
  expect(await pod.dockerd.inside("ls /run/aeon/pins | wc -l")).toBe("0\n");
});
