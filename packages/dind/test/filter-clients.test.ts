import { randomBytes } from "node:crypto";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { promisify } from "node:util";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, type CliOptions } from "./support/cli.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";

describe.each(["26", "28"] as const)("engine %s", (line) => {
  let pod: FilteredDocker;
  let work: string;
  beforeAll(async () => {
    pod = await launchFilteredDocker({ line });
    work = pod.dockerd.main;
    const config = join(pod.dockerd.folder, "docker-config");
    mkdirSync(config);
    const plugins = join(pod.dockerd.tree, "usr/libexec/docker/cli-plugins");
    writeFileSync(join(config, "config.json"), JSON.stringify({ cliPluginsExtraDirs: [plugins] }));
  });
  afterAll(async () => {
    await pod[Symbol.asyncDispose]();
  });
  const cli = (args: string, options?: CliOptions) => docker(pod, args.split(" "), options);
  const ok = async (args: string, options?: CliOptions): Promise<string> => {
    const { code, text } = await cli(args, options);
    expect([args, code, text]).toEqual([args, 0, text]);
    return text.trim();
  };

  test("docker's own commands (test 52)", async () => {
    expect(await ok("run --rm busybox echo hello")).toBe("hello");
    expect((await cli("run --rm busybox sh -c false")).code).toBe(1);
    expect(await ok("run -i --rm busybox cat", { input: "to and back\n" })).toBe("to and back");
    const large = randomBytes(8 * 1024 ** 2).toString("hex");
    expect((await ok("run -i --rm busybox md5sum", { input: large })).length).toBe(35);
    const id = await ok("run -d --name app -p 0:80 busybox sleep 300");
    expect(await ok("port app")).toMatch(/80\/tcp -> .*:\d+/);
    expect(await ok("exec app id -u")).toBe("0");
    expect(await ok("exec -i app cat", { input: "exec\n" })).toBe("exec");
    expect((await docker(pod, ["exec", "app", "sh", "-c", "exit 7"])).code).toBe(7);
    await ok("exec -d app touch /tmp/detached");
    await expect.poll(async () => (await cli("exec app ls /tmp")).text).toContain("detached");
    writeFileSync(join(work, "copy-me"), "copied\n");
    await ok(`cp ${join(work, "copy-me")} app:/tmp/copied`);
    await ok(`cp app:/tmp/copied ${join(work, "back")}`);
    expect(readFileSync(join(work, "back"), "utf8")).toBe("copied\n");
    expect(await ok("top app")).toContain("sleep 300");
    expect(await ok("stats --no-stream app")).toContain("app");
    expect(await ok("diff app")).toContain("A /tmp/detached");
    expect(await ok("commit -m note app kept:1")).toContain("sha256:");
    await ok("tag kept:1 kept:2");
    const archive = join(work, "kept.tar");
    await ok(`save -o ${archive} kept:2`);
    await ok("rmi kept:1 kept:2");
    expect(await ok(`load -i ${archive}`)).toContain("kept:2");
    await ok(`export -o ${join(work, "app.tar")} app`);
    for (const args of [
      "pause app",
      "unpause app",
      "rename app app2",
      "update --memory 100m --memory-swap 100m app2",
    ])
      await ok(args);
    for (const args of ["restart -t 0 app2", "stop -t 0 app2", "start app2", "kill app2"]) await ok(args);
    expect((await cli("wait app2")).text.trim()).toBe("137");
    expect(await ok("events --since 10m --until 0s --filter type=container")).toContain(id.slice(0, 12));
    for (const args of [
      "info",
      "version",
      "system df",
      "images",
      "ps -a",
      "volume ls",
      "network ls",
      "history kept:2",
    ])
      await ok(args);
    await ok("rm app2");
    expect((await cli("node ls")).text).toContain("This node is not a swarm manager");
  });

  test("terminal, attach and logs", async () => {
    const command = `DOCKER_HOST=unix://${pod.socket} ${join(pod.dockerd.tree, "usr/bin/docker")} run -it --rm busybox sh -c 'tty; stty size'`;
    const terminal = execFileSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", input: "" });
    expect(terminal).toContain("/dev/pts/0");
    await docker(pod, [
      "run",
      "-d",
      "--name",
      "talker",
      "busybox",
      "sh",
      "-c",
      "for i in 1 2 3; do echo line $i; done; sleep 1; echo last",
    ]);
    expect((await cli("logs -f talker")).text).toContain("line 3\nlast");
    await cli("rm -f talker");
  });

  // Once in some hundred runs the output of a `docker run` was empty, for a reason not found; twice in a row counts.
  test("classic build, buildx build and bake (test 53)", { retry: 1, timeout: 400_000 }, async () => {
    const folder = join(work, "build");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "file"), "context\n");
    writeFileSync(
      join(folder, "Dockerfile"),
      "FROM busybox\nARG WHO=nobody\nCOPY file /file\nRUN cat /file && echo built for $WHO > /who && id\n",
    );
    await ok(`build -t classic --build-arg WHO=classic ${folder}`, {
      env: { DOCKER_BUILDKIT: "0" },
      timeoutMs: 100_000,
    });
    expect(await ok("run --rm classic cat /who")).toBe("built for classic");
    await ok(`buildx build --progress plain -t kit --build-arg WHO=kit ${folder}`, { timeoutMs: 100_000 });
    expect(await ok("run --rm kit cat /who")).toBe("built for kit");
    writeFileSync(join(folder, "secret"), "hush\n");
    writeFileSync(
      join(folder, "Secret"),
      "FROM busybox\nRUN --mount=type=secret,id=s --mount=type=cache,target=/cache cp /run/secrets/s /cache/s && cp /cache/s /s\n",
    );
    await ok(
      `buildx build --progress plain -t secret -f ${folder}/Secret --secret id=s,src=${folder}/secret ${folder}`,
      { timeoutMs: 100_000 },
    );
    expect(await ok("run --rm secret cat /s")).toBe("hush");
    writeFileSync(
      join(folder, "docker-bake.json"),
      JSON.stringify({ target: { default: { context: folder, tags: ["baked"], args: { WHO: "bake" } } } }),
    );
    await ok(`buildx bake --progress plain -f ${folder}/docker-bake.json`, {
      cwd: folder,
      env: { BUILDX_BAKE_ENTITLEMENTS_FS: "0" },
      timeoutMs: 100_000,
    });
    expect(await ok("run --rm baked cat /who")).toBe("built for bake");
    writeFileSync(join(folder, "Insecure"), "FROM busybox\nRUN --security=insecure id\n");
    const refused = await cli(
      `buildx build --progress plain --allow security.insecure -f ${folder}/Insecure ${folder}`,
      { timeoutMs: 100_000 },
    );
    expect(refused.code).not.toBe(0);
  });

  test("compose up, names, ports, volumes and down (test 54)", async () => {
    const folder = join(work, "project");
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, "compose.yaml"),
      `services:
  web:
    image: busybox
    command: ["sh", "-c", "mkdir -p /www; echo composed > /www/index.html; httpd -f -p 80 -h /www"]
    ports: ["80"]
    volumes: ["data:/data", "/data-of-main:/host"]
    healthcheck: { test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 10 }
  client:
    image: busybox
    command: ["sh", "-c", "wget -qO- http://web/ && sleep 100"]
    depends_on: { web: { condition: service_healthy } }
volumes: { data: {} }
`,
    );
    const compose = (args: string) => ok(`compose ${args}`, { cwd: folder, timeoutMs: 100_000 });
    await compose("up -d");
    await expect
      .poll(async () => (await cli("compose logs client", { cwd: folder })).text)
      .toContain("composed");
    expect(await compose("port web 80")).toMatch(/:\d+$/);
    const again = await compose("up -d");
    expect(again).not.toContain("Recreate");
    await compose("down -v -t 0");
    expect(await ok("ps -aq")).toBe("");
  }, 300_000);

  test("dockerode with and without hijack (test 56)", async () => {
    const client = new Docker({ socketPath: pod.socket });
    const container = await client.createContainer({
      name: "by-dockerode",
      Image: "busybox",
      Cmd: ["sleep", "100"],
    });
    expect(await ok("ps -aq --filter name=by-dockerode")).not.toBe("");
    await container.start();
    const read = async (stream: NodeJS.ReadWriteStream): Promise<string> => {
      const [out, err] = [new PassThrough(), new PassThrough()];
      client.modem.demuxStream(stream, out, err);
      stream.on("end", () => out.end());
      return (await out.toArray()).join("");
    };
    const plain = await container.exec({ Cmd: ["echo", "plain"], AttachStdout: true, AttachStderr: true });
    expect(await read(await plain.start({}))).toBe("plain\n");
    const hijacked = await container.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
    const stream = await hijacked.start({ hijack: true, stdin: true });
    stream.write("through the hijack\n");
    stream.end();
    expect(await read(stream)).toBe("through the hijack\n");
    await container.remove({ force: true });
  });

  test("testcontainers: random ports, networks, names (test 55)", async () => {
    const program = join(import.meta.dirname, "support/use-testcontainers.ts");
    const args = [
      "-t",
      String(pod.dockerd.pid),
      "-n",
      process.execPath,
      "--conditions=@aeon/source",
      program,
    ];
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${pod.socket}`,
      TESTCONTAINERS_RYUK_DISABLED: "true",
      HOME: pod.dockerd.folder,
    };
    const { stdout } = await promisify(execFile)("nsenter", args, { env, timeout: 100_000 });
    expect(JSON.parse(stdout)).toEqual({ page: "served\n", output: "served\n", exitCode: 0 });
  });

  test("many at once, and memory that stays (test 57)", async () => {
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) => ok(`run --rm busybox echo ${index}`)),
    );
    expect(results).toEqual(Array.from({ length: 30 }, (_, index) => String(index)));
    const rss = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pod.filterPid}/status`, "utf8"))?.[1]);
    const id = await ok("run -d busybox sleep 300");
    await docker(pod, ["exec", id, "sh", "-c", "dd if=/dev/zero of=/tmp/big bs=1M count=1000 2>/dev/null"]);
    const before = rss();
    const copy = await docker(pod, ["exec", id, "sh", "-c", "cat /tmp/big | md5sum; cat /tmp/big"], {
      discard: true,
    });
    expect(copy.bytes).toBeGreaterThan(1_000_000_000);
    expect(rss() - before).toBeLessThan(60_000);
    await cli(`rm -f ${id}`);
  }, 200_000);
});
