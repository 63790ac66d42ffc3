import { once } from "node:events";
import { rename, unlink, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { parse } from "yaml";
import { plainStyle, run } from "@aeon/aeonctl";
import { runReadmeExample, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startAeon, type RunningAeon } from "./running-aeon.ts";

let aeon: RunningAeon;
/** Of a container that wrote a file, deleted another and was removed. */
let backup: string;

beforeAll(async () => {
  aeon = await startAeon();
  const image = aeon.standalone.image;
  await aeon.bash(`ctr run --rm ${image} demo sh -c 'echo hello > /root/note; rm /etc/motd'`);
  backup = await onlyBackupOf("demo");
});

afterAll(() => aeon?.[Symbol.asyncDispose]());

async function onlyBackupOf(container: string): Promise<string> {
  const list = async (): Promise<string> =>
    (await aeon.aeonctl("backups", "ls", "--container", container, "--quiet")).stdout;
  const single = async (): Promise<string> => {
    const printed = await list();
    expect(printed).toMatch(/^\S+\n$/);
    return printed.trim();
  };
  return vi.waitFor(single, { timeout: 30_000, interval: 100 });
}

async function json(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await aeon.aeonctl(...args, "--output", "json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

const lines = (printed: string): readonly string[] => printed.trimEnd().split("\n");

test("status shows every part, its health and what there is", async () => {
  expect(await json("status")).toMatchObject({
    ready: true,
    version: "0.1.0",
    root: join(aeon.root, "agent"),
    state: join(aeon.root, "run"),
    containerd: { connected: true, version: expect.stringMatching(/^2\./) as unknown, failure: null },
    counts: {
      snapshots: { committed: expect.any(Number) as unknown },
      backups: expect.any(Number) as unknown,
    },
    plugins: expect.arrayContaining([
      expect.objectContaining({ name: "snapshotter", state: "ready", failure: null }),
      expect.objectContaining({ name: "backup", state: "ready" }),
    ]) as unknown,
    sockets: expect.arrayContaining([
      { name: "snapshotter", address: join(aeon.root, "run/snapshotter.sock") },
      { name: "admin", address: join(aeon.root, "run/admin.sock") },
    ]) as unknown,
  });
  const table = await aeon.aeonctl("status");
  expect(table.stdout).toMatch(/^aeon +0\.1\.0, ready$/m);
  expect(table.stdout).toMatch(/^snapshotter +ready +\d+ +ok$/m);
});

test("a backup shows whose it is and where, the same in every format", async () => {
  const waited = await aeon.aeonctl("backups", "wait", backup);
  expect(waited).toMatchObject({ code: 0, stderr: "" });
  const shown = await json("backups", "show", backup);
  expect(shown).toMatchObject({
    id: backup,
    state: "stored",
    failure: null,
    namespace: "default",
    containerId: "demo",
    image: aeon.standalone.image,
    pod: null,
    parent: null,
    size: expect.any(Number) as unknown,
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as unknown,
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/) as unknown,
  });
  // Only the store knows these, and lists come from the agent alone.
  const { document, totalSize, node, seq, head, pinned, ...common } = Object.fromEntries(
    Object.entries(Object(shown)),
  );
  expect(document).toMatchObject({ layers: [{ backup, entries: expect.any(Number) as unknown }] });
  expect({ totalSize, node, seq, head, pinned }).toMatchObject({ seq: 1, head: true, pinned: null });
  expect(await json("backups", "ls")).toContainEqual(expect.objectContaining(common));
  const yaml = await aeon.aeonctl("backups", "show", backup, "--output=yaml");
  expect(parse(yaml.stdout)).toEqual(shown);
  const table = await aeon.aeonctl("backups", "ls", "--namespace", "default");
  expect(lines(table.stdout)[0]).toMatch(
    /^BACKUP +STATE +NAMESPACE +CONTAINER +SIZE +CREATED +TRIGGER +EXIT +MARKS +IMAGE +FAILURE$/,
  );
  expect(table.stdout).toContain(`${backup}  stored`);
  expect((await aeon.aeonctl("backups", "ls", "--namespace", "elsewhere", "--quiet")).stdout).toBe("");
});

test("snapshots are listed, filtered and measured", async () => {
  const all = await json("snapshots", "ls", "--filter", "kind==committed");
  expect(all).toEqual([
    {
      name: expect.stringMatching(/^default\/\d+\/sha256:/) as unknown,
      parent: null,
      kind: "committed",
      createdAt: expect.any(String) as unknown,
      updatedAt: expect.any(String) as unknown,
      labels: expect.any(Object) as unknown,
    },
  ]);
  const names = lines((await aeon.aeonctl("snapshots", "ls", "--quiet", "-f", "kind==committed")).stdout);
  expect(await json("snapshots", "usage", ...names)).toEqual([
    { name: names[0], size: expect.any(Number) as unknown, inodes: expect.any(Number) as unknown },
  ]);
  const table = await aeon.aeonctl("snapshots", "usage");
  expect(table.stdout).toMatch(/^ *SIZE +INODES +NAME\n *[\d.]+ [KM]iB +\d+ +default\//);
});

test("containers are listed with their state, and chosen by it", async () => {
  const found = await json("containers", "ls", "--state", "backed-up", "--namespace", "default");
  expect(found).toEqual([
    expect.objectContaining({ id: "demo", state: "backed-up", sandbox: false, failure: null }),
  ]);
  expect(await json("containers", "ls", "--state", "restoring", "preparing")).toEqual([]);
});

test("a container's exit is known", async () => {
  const image = aeon.standalone.image;
  let runs = 0;
  // Events of the first moments may have passed before the agent had found containerd.
  const exitOfNext = async (): Promise<unknown> => {
    const id = `exits-${runs++}`;
    await aeon.bash(`ctr run --rm ${image} ${id} sh -c 'touch /file; exit 7'`);
    const shown = await json("backups", "show", await onlyBackupOf(id));
    return shown;
  };
  await expect.poll(exitOfNext, { timeout: 60_000, interval: 500 }).toMatchObject({ exit: { code: 7 } });
});

test("restore puts a backup under a new container, and says how it went", async () => {
  const asked = await json("restore", backup, "--container", "demo2");
  expect(asked).toMatchObject({ backup, namespace: "default", containerId: "demo2", state: "pending" });
  expect(await json("restores", "ls", "--pending")).toEqual([asked]);
  const image = aeon.standalone.image;
  // ctr drops the output of a container that ends before ctr has opened its pipes: hence the sleep.
  const script = "cat /root/note; ls /etc/motd 2>&1; sleep 0.5";
  const { stdout } = await aeon.bash(`ctr run --rm ${image} demo2 sh -c '${script}'`);
  expect(stdout).toBe("hello\nls: /etc/motd: No such file or directory\n");
  expect(await json("restores", "ls", "--pending")).toEqual([]);
  expect(await json("restores", "ls")).toMatchObject([
    { containerId: "demo2", state: "done", failure: null },
  ]);
  const second = await onlyBackupOf("demo2");
  expect(await json("backups", "show", second)).toMatchObject({ parent: backup });
});

test("rm forgets a backup", async () => {
  const image = aeon.standalone.image;
  await aeon.bash(`ctr run --rm ${image} short touch /file`);
  const id = await onlyBackupOf("short");
  expect(await aeon.aeonctl("backups", "wait", id)).toMatchObject({ code: 0 });
  expect(await aeon.aeonctl("backups", "rm", id)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(new RegExp(`^removed ${id}; .* deleted after a grace\n$`)) as unknown,
  });
  expect(await aeon.aeonctl("backups", "show", id)).toMatchObject({ code: 3 });
});

test("rm of a backup that a container runs on needs --force, and does the container no harm", async () => {
  const image = aeon.standalone.image;
  await aeon.bash(`ctr run --rm ${image} base sh -c 'echo kept > /root/note'`);
  const id = await onlyBackupOf("base");
  expect(await aeon.aeonctl("backups", "wait", id)).toMatchObject({ code: 0 });
  await json("restore", id, "--container", "standing");
  try {
    await aeon.bash(`ctr run --detach ${image} standing sleep 86391`);
    expect(await aeon.aeonctl("backups", "rm", id)).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/\[BACKUP_IN_USE\]$/m) as unknown,
    });
    expect((await aeon.aeonctl("backups", "ls", "--quiet")).stdout).toContain(id);
    expect(await json("backups", "rm", id, "--force")).toMatchObject({ id, removed: true });
    expect((await aeon.aeonctl("backups", "ls", "--quiet")).stdout).not.toContain(id);
    const { stdout } = await aeon.bash("ctr tasks exec --exec-id look standing cat /root/note");
    expect(stdout).toBe("kept\n");
  } finally {
    await aeon.bash("ctr tasks delete --force standing; ctr containers delete standing");
  }
  expect(await aeon.aeonctl("backups", "wait", await onlyBackupOf("standing"))).toMatchObject({ code: 0 });
});

test("a backup that cannot be stored says why, and is stored once it can be", async () => {
  const blobs = join(aeon.root, "store/t/default/blobs");
  await rename(blobs, `${blobs}.away`);
  await writeFile(blobs, "");
  const image = aeon.standalone.image;
  await aeon.bash(`ctr run --rm ${image} stuck touch /file`);
  const id = await onlyBackupOf("stuck");
  const failed = await aeon.aeonctl("backups", "wait", id);
  expect(failed).toMatchObject({ code: 5, stdout: "" });
  expect(failed.stderr).toMatch(
    /^aeonctl: backup \S+ is failed: .*; its files stay staged.*\[BACKUP_FAILED\]\n$/,
  );
  expect(await json("status")).toMatchObject({ ready: false, counts: { backupsPending: 1 } });
  expect((await aeon.aeonctl("status")).stdout).toMatch(/^backup +ready .*store: 1 backups are not stored/m);
  await unlink(blobs);
  await rename(`${blobs}.away`, blobs);
  await expect
    .poll(async () => (await aeon.aeonctl("backups", "wait", id)).code, { timeout: 60_000 })
    .toBe(0);
  expect(await json("status")).toMatchObject({ ready: true, counts: { backupsPending: 0 } });
});

describe("failures are one line with a reason and their own exit code", () => {
  test.each([
    [["backups", "show", "nobody"], 3, /backup nobody .*\[BACKUP_NOT_FOUND\]$/],
    [["backups", "wait", "nobody"], 3, /\[BACKUP_NOT_FOUND\]$/],
    [["backups", "rm", "nobody"], 3, /\[BACKUP_NOT_FOUND\]$/],
    [["restore", "nobody", "--container", "x"], 3, /\[BACKUP_NOT_FOUND\]$/],
    [["backups", "rm", "../../etc/passwd"], 2, /\[BACKUP_ID_INVALID\]$/],
    [["restore", "../x", "--container", "x"], 2, /\[BACKUP_ID_INVALID\]$/],
    [["backups", "show", "../../etc/passwd"], 2, /\[BACKUP_ID_INVALID\]$/],
    [["snapshots", "usage", "nobody"], 3, /snapshot nobody .*\[SNAPSHOT_NOT_FOUND\]$/],
    [["snapshots", "ls", "--filter", "kind=="], 2, /\[SNAPSHOT_FILTER_INVALID\]$/],
    [
      ["status", "--address", "/nowhere/admin.sock"],
      4,
      /no agent at \/nowhere\/admin\.sock.*\[AGENT_UNREACHABLE\]$/,
    ],
  ] as const)("%j", async (args, code, message) => {
    const ended = await aeon.aeonctl(...args);
    expect(ended).toMatchObject({ code, stdout: "" });
    expect(lines(ended.stderr)).toEqual([expect.stringMatching(message)]);
    expect(ended.stderr).toMatch(/^aeonctl: /);
  });

  test("a container that runs already", async () => {
    const image = aeon.standalone.image;
    await aeon.bash(`ctr run --detach ${image} busy sh -c 'touch /started; sleep 86396'`);
    try {
      const sees = `ctr tasks exec --exec-id look busy ls /started`;
      await expect.poll(async () => (await aeon.bash(sees)).code, { timeout: 20_000 }).toBe(0);
      const ended = await aeon.aeonctl("restore", backup, "--container", "busy");
      expect(ended).toMatchObject({ code: 5 });
      expect(ended.stderr).toMatch(/container busy .*\[RESTORE_TOO_LATE\]$/m);
    } finally {
      await aeon.bash("ctr tasks kill --signal SIGKILL busy; ctr tasks delete busy; ctr containers rm busy");
    }
  });

  test("a user who may not open the socket", async () => {
    const { seteuid, geteuid } = process;
    if (seteuid === undefined || geteuid === undefined) throw new Error("this system has no users");
    const before = geteuid();
    seteuid(65_534);
    try {
      const ended = await inProcess("status", "--address", join(aeon.root, "run/admin.sock"));
      expect(ended.code).toBe(6);
      expect(ended.stderr).toMatch(/\[AGENT_FORBIDDEN\]$/m);
    } finally {
      seteuid(before);
    }
  });

  test("somebody else's socket, and one that never answers", async () => {
    await using folder = await temporaryFolder("f");
    const foreign = await listening(
      createHttpServer((_, response) => response.end("hello")),
      join(folder.path, "a"),
    );
    const silent = await listening(createServer(), join(folder.path, "b"));
    try {
      const strange = await aeon.aeonctl("status", "--address", join(folder.path, "a"));
      expect(strange.stderr).toMatch(/does not speak aeon's admin API.*\[AGENT_FOREIGN\]$/m);
      expect(strange.code).toBe(1);
      const late = await aeon.aeonctl("status", "--address", join(folder.path, "b"), "--timeout", "0.3");
      expect(late.stderr).toMatch(/did not answer in time.*\[AGENT_SILENT\]$/m);
      expect(late.code).toBe(4);
    } finally {
      for (const server of [foreign, silent]) server.close();
    }
  });
});

async function inProcess(...args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const stdout = new PassThrough().resume();
  const stderr = new PassThrough();
  const said = text(stderr);
  const code = await run(args, { stdout, stderr, style: plainStyle });
  stderr.end();
  return { code, stderr: await said };
}

async function listening(server: Server, path: string): Promise<Server> {
  server.listen(path);
  await once(server, "listening");
  return server;
}

test("colours appear on terminals only, and not with NO_COLOR", async () => {
  const onTerminal = `script --quiet --return --command 'aeonctl status' /dev/null`;
  const escape = "\u001B[";
  expect((await aeon.bash(onTerminal, { TERM: "xterm" })).stdout).toContain(escape);
  expect((await aeon.bash(onTerminal, { TERM: "xterm", NO_COLOR: "1" })).stdout).not.toContain(escape);
  expect((await aeon.aeonctl("status")).stdout).not.toContain(escape);
});

test("a reader that has seen enough is no failure", async () => {
  const { stdout, stderr } = await aeon.bash(
    `aeonctl backups ls --output json | true; echo \${PIPESTATUS[0]}`,
  );
  expect({ stdout, stderr }).toEqual({ stdout: "0\n", stderr: "" });
});

/** What bash suggests for a line whose last word is being typed; words split as bash splits them. */
async function suggestions(...words: readonly string[]): Promise<readonly string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `set -u; source <(aeonctl completion bash); complete -p aeonctl >&2
    COMP_WORDS=(aeonctl ${quoted}); COMP_CWORD=${words.length}; _aeonctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await aeon.bash(script);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "complete -F _aeonctl aeonctl\n" });
  return lines(stdout);
}

describe("completion in bash", () => {
  test("suggests commands, options and their values", async () => {
    expect(await suggestions("")).toEqual(
      expect.arrayContaining(["status", "backup", "restore", "completion"]),
    );
    expect(await suggestions("ba")).toEqual(["backup"]);
    expect(await suggestions("backups", "")).toEqual(expect.arrayContaining(["ls", "show", "wait", "rm"]));
    expect(await suggestions("backups", "ls", "--cont")).toEqual(["--container"]);
    expect(await suggestions("status", "--output", "")).toEqual(["table", "json", "yaml"]);
    expect(await suggestions("status", "--output", "=", "js")).toEqual(["json"]);
    expect(await suggestions("containers", "ls", "--state", "back")).toEqual(["backing-up", "backed-up"]);
  });

  test("suggests what the agent knows, words with colons included", async () => {
    expect(await suggestions("backups", "show", "")).toContain(backup);
    expect(await suggestions("restore", backup.slice(0, 12))).toContain(backup);
    const [name = ""] = lines(
      (await aeon.aeonctl("snapshots", "ls", "--quiet", "-f", "kind==committed")).stdout,
    );
    const [before = "", after = ""] = name.split(":");
    expect(await suggestions("snapshots", "usage", before, ":", after.slice(0, 4))).toEqual([after]);
  });

  test("suggests nothing without an agent, and in silence", async () => {
    expect(await suggestions("backups", "show", "--address", "/nowhere/admin.sock", "")).toEqual([""]);
  });

  test("other shells get a script that names the program", async () => {
    for (const shell of ["zsh", "fish"]) {
      const { code, stdout } = await aeon.aeonctl("completion", shell);
      expect(code).toBe(0);
      expect(stdout).toContain("aeonctl complete --");
    }
    expect((await aeon.aeonctl("completion", "csh")).code).toBe(2);
  });
});

test("the examples of the package's README run", async () => {
  const readme = join(import.meta.dirname, "../packages/aeonctl/README.md");
  expect(await runReadmeExample(readme, { AEON_ADDRESS: join(aeon.root, "run/admin.sock") })).toMatch(
    /^aeon +0\.1\.0, ready$/m,
  );
  expect(await runReadmeExample(readme, { AEON_ADDRESS: "/nowhere/admin.sock" })).toBe(
    "the agent does not run\n",
  );
});

test("the agent's end is told as such", async () => {
  await using own = await startAeon();
  const pid = own.standalone.agent.pid;
  process.kill(pid, "SIGKILL");
  await own.standalone.agent.ended;
  const ended = await own.aeonctl("status");
  expect(ended.code).toBe(4);
  expect(ended.stderr).toMatch(/nobody listens there.*\[AGENT_UNREACHABLE\]$/m);
});

test("backups of running containers, one and all", async () => {
  const image = aeon.standalone.image;
  const label = "backup.container.io/enabled=true";
  await aeon.bash(
    `ctr run --detach --label ${label} ${image} running sh -c 'echo 1 > /root/note; sleep 86397'`,
  );
  const waited = ["backup", "create", "--container", "running", "--pause", "--wait"];
  expect(await json(...waited)).toMatchObject({
    state: "stored",
    containerId: "running",
    trigger: "manual",
    consistency: "frozen",
  });
  expect((await aeon.bash("ctr tasks ls")).stdout).toMatch(/running\s+\d+\s+RUNNING/);
  expect(await json("backup", "drain")).toMatchObject({
    containers: [
      { containerId: "running", failure: null, backup: { trigger: "drain", consistency: "live" } },
    ],
    failed: 0,
    pending: 0,
  });
  expect(await aeon.aeonctl("backup", "create", "--container", "none")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("no container none is known in default") as unknown,
  });
  await aeon.bash("ctr tasks delete --force running; ctr containers delete running");
});
