import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "@aeon/containerd";
import { containers } from "@aeon/proto";
import { findContainerd, type ContainerdLine } from "@aeon/standalone";
import { temporaryFolder, testCache } from "@aeon/testkit";
import { expect, test } from "vitest";

const packages = join(import.meta.dirname, "../packages");
const programs = {
  aeon: join(packages, "agent/src/main.ts"),
  aeonctl: join(packages, "aeonctl/src/main.ts"),
};

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: keyof typeof programs, args: readonly string[]): Promise<Ended> {
  try {
    const done = await promisify(execFile)(process.execPath, [
      "--conditions=@aeon/source",
      programs[program],
      ...args,
    ]);
    return { code: 0, ...done };
  } catch (error) {
    if (error instanceof Error && "stdout" in error && "stderr" in error && "code" in error)
      return { code: Number(error.code), stdout: String(error.stdout), stderr: String(error.stderr) };
    throw error;
  }
}

/** A containerd that a script restarts, as a service manager does. */
async function startHost(line: ContainerdLine, imports: boolean) {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryFolder("h"));
  const binaries = await findContainerd({ line, cache: testCache });
  const config = join(folder, "config.toml");
  const dropIns = join(folder, "conf.d");
  const address = join(folder, "containerd.sock");
  const pid = join(folder, "pid");
  await mkdir(dropIns);
  const text = `# ours, and it stays
version = ${line === "1.7" ? 2 : 3}
${imports ? `imports = ["${dropIns}/*.toml"]\n` : ""}root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.internal.v1.tracing"] # not wanted here

[grpc]
  address = "${address}"

[plugins."io.containerd.nri.v1.nri"]
  disable = true
  socket_path = "${folder}/nri.sock"
  plugin_path = "${folder}/nri"
  plugin_config_path = "${folder}/nri.d"

[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
`;
  await writeFile(config, text);
  const restart = join(folder, "restart");
  await writeFile(
    restart,
    `#!/bin/sh
if [ -s ${pid} ]; then p=$(cat ${pid}); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.05; done; fi
${binaries.containerd} --config ${config} >>${folder}/log 2>&1 </dev/null &
echo $! >${pid}
for i in $(seq 300); do [ -S ${address} ] && kill -0 $(cat ${pid}) && exit 0; sleep 0.1; done
exit 1
`,
    { mode: 0o755 },
  );
  stack.defer(async () => {
    if (!existsSync(pid)) return;
    const kill = spawn("sh", [
      "-c",
      `p=$(cat ${pid}); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.05; done`,
    ]);
    await new Promise((resolve) => kill.once("close", resolve));
  });
  await promisify(execFile)(restart);
  const set = [`root=${folder}/aeon`, `state=${folder}/run`, `containerd.address=${address}`];
  const host = (command: string, ...more: readonly string[]) =>
    run("aeon", [
      "host",
      command,
      "--containerd-config",
      config,
      "--containerd",
      binaries.containerd,
      "--restart",
      restart,
      ...set.flatMap((each) => ["--set", each]),
      ...more,
    ]);
  const dump = async () =>
    (await promisify(execFile)(binaries.containerd, ["--config", config, "config", "dump"])).stdout;
  const doctor = () =>
    run("aeonctl", [
      "--address",
      `${folder}/run/admin.sock`,
      "--output",
      "json",
      "doctor",
      "--root",
      `${folder}/aeon`,
      "--state",
      `${folder}/run`,
      "--containerd",
      binaries.containerd,
      "--containerd-config",
      config,
      "--containerd-address",
      address,
    ]);
  const owned = stack.move();
  return {
    folder,
    config,
    dropIns,
    address,
    restart,
    text,
    host,
    dump,
    doctor,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly fix: string | null;
}

const levels = ({ stdout }: Ended): Record<string, string> =>
  Object.fromEntries((JSON.parse(stdout) as Finding[]).map(({ check, level }) => [check, level]));

test.each<[ContainerdLine, boolean]>([
  ["2.1", true],
  ["2.1", false],
  ["1.7", true],
])(
  "containerd %s, files beside the configuration: %s; set up, in use, and given back",
  async (line, imports) => {
    await using node = await startHost(line, imports);
    const before = await node.dump();
    expect(levels(await node.doctor())).toMatchObject({ "containerd.proxy": "failure" });

    const dry = await node.host("configure", "--dry-run");
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(dry.stdout).toContain("[proxy_plugins.aeon]");
    expect(await readFile(node.config, "utf8")).toBe(node.text);

    expect(await node.host("configure")).toMatchObject({ code: 0, stderr: "" });
    const isBeside = imports && line === "2.1";
    expect(await readdir(node.dropIns)).toEqual(isBeside ? ["90-aeon.toml"] : []);
    const edited = await readFile(node.config, "utf8");
    expect(edited === node.text).toBe(isBeside);
    expect(edited).toContain("# ours, and it stays");
    expect(edited).toContain("# not wanted here");
    const found = await node.doctor();
    expect(levels(found)).toMatchObject({
      "containerd.version": "ok",
      "containerd.proxy": "ok",
      "containerd.exports-root": "ok",
      "containerd.cri": "ok",
      "containerd.handler": "ok",
      "containerd.nri": "ok",
      "sockets.containerd": "ok",
      // No agent runs here.
      "sockets.snapshotter": "failure",
      agent: "failure",
      ...(line === "2.1" && { "containerd.unpack": "ok" }),
    });
    expect(found).toMatchObject({ code: 5, stderr: expect.stringContaining("DOCTOR_FOUND") });

    // containerd itself, restarted, has the snapshotter and its disk.
    const client = await connect({ address: node.address, namespace: "default" });
    const [plugin] = await client.plugins(["id==aeon"]);
    expect(plugin).toMatchObject({ id: "aeon", exports: { root: `${node.folder}/aeon/snapshotter` } });

    const again = await node.host("configure");
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("is as it has to be") });

    const api = client.service(containers.Containers);
    await api.create({
      container: {
        id: "uses",
        snapshotter: "aeon",
        snapshotKey: "uses",
        runtime: { name: "io.containerd.runc.v2" },
        spec: { typeUrl: "x" },
      },
    });
    expect(await node.host("unconfigure")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("default/uses"),
    });
    await api.delete({ id: "uses" });
    await client[Symbol.asyncDispose]();

    expect(await node.host("unconfigure")).toMatchObject({ code: 0, stderr: "" });
    expect(await readFile(node.config, "utf8")).toBe(node.text);
    expect(await readdir(node.dropIns)).toEqual([]);
    expect(await node.dump()).toBe(before);
    expect(await node.host("unconfigure")).toMatchObject({ stdout: "nothing of aeon is configured\n" });
  },
);

test("pods with the runtime class run with the toolkit's launcher, where there is one", async () => {
  await using node = await startHost("2.1", true);
  const launcher = join(node.folder, "container-hooks-runtime");
  expect(await node.host("configure", "--launcher", launcher)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("HOST_LAUNCHER_MISSING"),
  });
  await writeFile(launcher, '#!/bin/sh\nexec runc "$@"\n', { mode: 0o755 });
  const dry = await node.host("configure", "--launcher", launcher, "--dry-run");
  expect(dry.stdout).toMatch(/runtimes\.aeon\.options\][^[]*BinaryName = /);
  expect(await node.host("configure", "--launcher", launcher)).toMatchObject({ code: 0, stderr: "" });
  expect(await node.dump()).toContain(`BinaryName = '${launcher}'`);
});

test("a containerd that does not come up gets its configuration back", async () => {
  await using node = await startHost("2.1", false);
  const broken = join(node.folder, "broken");
  await writeFile(broken, "#!/bin/sh\necho no >&2; exit 1\n", { mode: 0o755 });
  const ended = await node.host("configure", "--restart", broken);
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining("did not come up") });
  expect(await readFile(node.config, "utf8")).toBe(node.text);
});

test("systemd takes the unit, and starts it before containerd", async () => {
  const unit = await readFile(join(import.meta.dirname, "../deploy/systemd/aeon.service"), "utf8");
  await using folder = await temporaryFolder("u");
  // It looks whether the program is there, which only an installed host has.
  const file = join(folder.path, "aeon.service");
  await writeFile(file, unit.replace("/usr/local/bin/aeon", process.execPath));
  const { stderr } = await promisify(execFile)("systemd-analyze", ["verify", "--man=no", file]);
  expect(stderr).toBe("");
  expect(unit).toMatch(/^Before=containerd\.service$/m);
  expect(unit).toMatch(/^Type=notify$/m);
});
