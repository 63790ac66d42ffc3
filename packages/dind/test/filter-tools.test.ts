import { execFile, type ChildProcess } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, type CliOptions } from "./support/cli.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";
import { importPython } from "./support/python-image.ts";

let pod: FilteredDocker;
let policyFile: string;
beforeAll(async () => {
  pod = await launchFilteredDocker({ line: "28" });
  const config = join(pod.dockerd.folder, "docker-config");
  mkdirSync(config);
  const plugins = join(pod.dockerd.tree, "usr/libexec/docker/cli-plugins");
  writeFileSync(join(config, "config.json"), JSON.stringify({ cliPluginsExtraDirs: [plugins] }));
  policyFile = join(pod.dockerd.folder, "policy.json");
  await importPython(pod, "python");
});
afterAll(async () => {
  await pod[Symbol.asyncDispose]();
});

const ok = async (args: readonly string[], options: CliOptions = {}): Promise<string> => {
  const { code, text } = await docker(pod, args, { timeoutMs: 120_000, ...options });
  expect([args, code, text]).toEqual([args, 0, expect.any(String)]);
  return text.trim();
};
const words = (text: string, options?: CliOptions): Promise<string> => ok(text.split(" "), options);

/** A folder for a build. */
function context(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(pod.dockerd.main, name);
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

/** Whether a process with these arguments runs on this machine. */
const isRunning = (...args: readonly string[]): boolean =>
  readdirSync("/proc").some((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, "utf8") === `${args.join("\0")}\0`;
    } catch {
      return false;
    }
  });

test("docker-py in a container with the socket (test 56)", async () => {
  const said = await words(
    "run --rm -v /run/docker.sock:/var/run/docker.sock python /usr/bin/python3 /use-docker.py",
  );
  expect(JSON.parse(said)).toEqual({
    exec: "plain\n",
    both: [4, "out\n", "err\n"],
    socket: "through the socket\n",
    attached: "one\ntwo\n",
    waited: 0,
    listed: true,
    images: ["by-py:1", "by-py:2"],
    history: true,
    archive: ["copied", true],
    port: true,
    top: true,
    stats: true,
    diff: "list",
    saved: true,
    info: true,
  });
});

test("a build asks the client's SSH agent, and no other (test 53)", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const folder = context("ssh", {
    Dockerfile: 'FROM python\nRUN --mount=type=ssh ["/usr/bin/python3", "/use-agent.py"]\n',
    key: String(privateKey.export({ type: "pkcs1", format: "pem" })),
  });
  await words(`buildx build --progress plain -t ssh --ssh default=${folder}/key ${folder}`);
  const blob = Buffer.from(
    await words("run --rm ssh /usr/bin/python3 -c print(open('/keys').read())"),
    "base64",
  );
  const { n = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  expect(blob.toString("latin1", 4, 11)).toBe("ssh-rsa");
  expect(blob.subarray(-256).equals(Buffer.from(n, "base64url"))).toBe(true);
});

test("an interrupted build ends in dockerd too (test 53)", async () => {
  const folder = context("cancel", { Dockerfile: 'FROM busybox\nRUN ["sleep", "4711"]\n' });
  for (const env of [{}, { DOCKER_BUILDKIT: "0" }]) {
    let child: ChildProcess | undefined;
    const build = docker(pod, ["build", "--no-cache", folder], {
      env,
      hold: async (started) => {
        child = started;
      },
    });
    await expect.poll(() => isRunning("sleep", "4711"), { interval: 50 }).toBe(true);
    child?.kill("SIGINT");
    expect((await build).code).not.toBe(0);
    await expect.poll(() => isRunning("sleep", "4711"), { interval: 50 }).toBe(false);
  }
  await expect.poll(async () => (await pod.status()).streams).toBe(0);
});

test("compose watch copies what changes (test 54)", async () => {
  const folder = context("watched", {
    Dockerfile: "FROM busybox\nCOPY app /app\n",
    "compose.yaml": `services:
  app:
    build: .
    command: ["sleep", "1000"]
    develop: { watch: [{ action: sync, path: ./app, target: /app }] }
`,
  });
  context("watched/app", { page: "first\n" });
  await words("compose up -d --build", { cwd: folder });
  expect(await words("compose exec -T app cat /app/page", { cwd: folder })).toBe("first");
  let child: ChildProcess | undefined;
  let said = "";
  const watching = docker(pod, ["compose", "watch", "--no-up"], {
    cwd: folder,
    hold: async (started) => {
      child = started;
      for (const stream of [started.stdout, started.stderr])
        stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
    },
  });
  await expect.poll(() => said).toContain("Watch enabled");
  context("watched/app", { page: "second\n", "new file": "new\n" });
  const seen = () =>
    docker(pod, ["compose", "exec", "-T", "app", "cat", "/app/page", "/app/new file"], { cwd: folder });
  await expect.poll(async () => (await seen()).text).toBe("second\nnew\n");
  child?.kill("SIGINT");
  await watching;
  await words("compose down -t 0", { cwd: folder });
});

const session = () => words("ps -aq --filter label=org.testcontainers.session-id");

describe("testcontainers with Ryuk's protocol by a stand-in under Ryuk's name (test 55)", () => {
  const program = join(import.meta.dirname, "support/use-testcontainers.ts");
  const use = (env: Readonly<Record<string, string>>) =>
    promisify(execFile)(
      "nsenter",
      ["-t", String(pod.dockerd.pid), "-n", process.execPath, program, "leave"],
      {
        env: {
          ...process.env,
          DOCKER_HOST: `unix://${pod.socket}`,
          TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: "/run/docker.sock",
          HOME: pod.dockerd.folder,
          ...env,
        },
        timeout: 100_000,
      },
    ).catch((error: { stdout: string; stderr: string; signal?: string }) => error);
  beforeAll(() => importPython(pod, "testcontainers/ryuk:0.14.0", '["/usr/bin/python3", "/ryuk.py"]'));

  test("what a killed program leaves is removed by it, through the filter", async () => {
    const { stdout } = await use({});
    expect(JSON.parse(stdout)).toEqual({ page: "served\n", output: "served\n", exitCode: 0 });
    await expect.poll(session).toBe("");
    await expect.poll(() => words("network ls -q --filter label=org.testcontainers")).toBe("");
  });

  test("privileged only where a policy takes that word away", async () => {
    const env = { TESTCONTAINERS_RYUK_PRIVILEGED: "true" };
    expect((await use(env)).stderr).toContain("[aeon: field-denied]");
    const rule = {
      endpoints: ["ContainerCreate"],
      field: "HostConfig.Privileged",
      verdict: "rewrite",
      value: false,
    };
    writeFileSync(policyFile, JSON.stringify({ version: 1, rules: [rule] }));
    await pod.configure({ policyFile });
    const using = use(env);
    await expect.poll(session, { interval: 20 }).not.toBe("");
    const [ryuk = ""] = (await session()).split("\n");
    expect(await words(`inspect -f {{.HostConfig.Privileged}} ${ryuk}`)).toBe("false");
    expect(JSON.parse((await using).stdout)).toMatchObject({ page: "served\n" });
    await expect.poll(session).toBe("");
  });
});
