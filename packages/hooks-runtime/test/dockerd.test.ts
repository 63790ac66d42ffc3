import { spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { findContainerd, unmountBelow } from "@aeon/standalone";
import { debianFile, temporaryFolder, testCache } from "@aeon/testkit";
import { beforeAll, expect, test } from "vitest";
import { runCtk } from "../src/ctk/run.ts";
import { smallDisk } from "./small-disk.ts";
import { buildPrograms, call, runc, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

/** One call of Docker's API. */
function docker(
  socket: string,
  method: string,
  path: string,
  body?: object | NodeJS.ReadableStream,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const isStream = body !== undefined && "pipe" in body;
  const headers = { "content-type": isStream ? "application/x-tar" : "application/json" };
  const outgoing = request({ socketPath: socket, method, path, headers }, (reply) => {
    let text = "";
    reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
    reply.on("end", () => resolve({ status: reply.statusCode ?? 0, text }));
  });
  outgoing.on("error", reject);
  if (isStream) body.pipe(outgoing);
  else outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

test("dockerd with the launcher as default runtime runs hooks and shows refusals", async () => {
  await using toolkit = await testToolkit([await runc()]);
  await using folder = await temporaryFolder("docker");
  const base = folder.path;
  const socket = join(base, "d.sock");
  const daemonJson = join(base, "daemon.json");
  const quiet = { node: process.execPath, folder: base, searchPath: "", print: () => {}, complain: () => {} };
  const configure = [
    "--prefix",
    base,
    "runtime",
    "configure",
    "--config-file",
    daemonJson,
    "--path",
    toolkit.launcher,
    "--default",
  ];
  expect(await runCtk(configure, quiet)).toBe(0);
  const { containerd, path } = await findContainerd({ line: "1.7", cache: testCache });
  const dockerd = await debianFile("docker.io", "usr/sbin/dockerd");
  const tini = join(await debianFile("tini", "usr/bin"));
  const log = join(base, "log");
  const flags = [
    "--config-file",
    daemonJson,
    "--host",
    `unix://${socket}`,
    "--data-root",
    join(base, "data"),
    "--exec-root",
    join(base, "exec"),
    "--pidfile",
    join(base, "pid"),
    "--bridge",
    "none",
    "--iptables=false",
    "--ip-masq=false",
  ];
  const env = { ...process.env, PATH: [...path, tini, "/usr/sbin:/usr/bin:/sbin:/bin"].join(":") };
  expect(containerd).toContain(path[0]);
  const daemon = spawn("/bin/sh", ["-c", `exec "$@" >'${log}' 2>&1`, "sh", dockerd, ...flags], {
    env,
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => daemon.on("exit", resolve));
  try {
    const ping = () =>
      docker(socket, "GET", "/_ping").then(
        ({ text }) => text,
        () => "",
      );
    await expect.poll(ping, { timeout: 60_000 }).toBe("OK");
    const info = JSON.parse((await docker(socket, "GET", "/info")).text) as Record<string, unknown>;
    expect(info["DefaultRuntime"]).toBe("container-hooks-runtime");
    expect(JSON.stringify(info["Runtimes"])).toContain(toolkit.launcher);
    const rootfs = join(base, "rootfs");
    await mkdir(join(rootfs, "bin"), { recursive: true });
    await writeFile(
      join(rootfs, "bin/sh"),
      await readFile(await debianFile("busybox-static", "bin/busybox")),
      { mode: 0o755 },
    );
    await call("tar", ["-C", rootfs, "-cf", join(base, "image.tar"), "bin"]);
    const imported = await docker(
      socket,
      "POST",
      "/images/create?fromSrc=-&repo=shell",
      createReadStream(join(base, "image.tar")),
    );
    expect(imported.status).toBe(200);

    const notes = join(base, "notes");
    const hook = join(base, "hook");
    await writeFile(hook, `#!/bin/sh\necho "$1" >>'${notes}'\n`, { mode: 0o755 });
    const stages = ["prestart", "createRuntime", "poststop"];
    await toolkit.rules({
      version: 1,
      rules: [
        {
          name: "a",
          hooks: Object.fromEntries(stages.map((stage) => [stage, [{ path: hook, args: ["hook", stage] }]])),
          env: ["SEEN=5"],
        },
      ],
    });
    const run = async (command: readonly string[], variables: readonly string[] = [], more: object = {}) => {
      const { text } = await docker(socket, "POST", "/containers/create", {
        Image: "shell",
        Cmd: command,
        Env: variables,
        NetworkDisabled: true,
        ...more,
      });
      const { Id: id } = JSON.parse(text) as { Id: string };
      const started = await docker(socket, "POST", `/containers/${id}/start`);
      const waited =
        started.status === 204 ? (await docker(socket, "POST", `/containers/${id}/wait`)).text : "";
      await docker(socket, "DELETE", `/containers/${id}?force=1`);
      return { started, waited };
    };
    const { started, waited } = await run(["/bin/sh", "-c", "exit $SEEN"]);
    expect(started).toEqual({ status: 204, text: "" });
    expect(JSON.parse(waited)).toMatchObject({ StatusCode: 5 });
    await expect.poll(() => readFile(notes, "utf8")).toBe(`${stages.join("\n")}\n`);

    // Docker has a hook of its own then, which sets the network up.
    await rm(notes);
    const networked = await run(["/bin/sh", "-c", "exit $SEEN"], [], {
      NetworkDisabled: false,
      HostConfig: { NetworkMode: "none" },
    });
    expect(networked.started).toEqual({ status: 204, text: "" });
    expect(JSON.parse(networked.waited)).toMatchObject({ StatusCode: 5 });
    await expect.poll(() => readFile(notes, "utf8")).toBe(`${stages.join("\n")}\n`);

    {
      // Over the folder that bundles are made in.
      const bundles = join(base, "exec/containerd/daemon/io.containerd.runtime.v2.task/moby");
      await using disk = await smallDisk(bundles, "32m");
      await disk.fill(800_000);
      const large = Array.from({ length: 5 }, (_, index) => `V${index}=${"x".repeat(100_000)}`);
      const full = await run(["/bin/sh", "-c", "exit 0"], large);
      expect(full.started).toMatchObject({
        status: 500,
        text: expect.stringMatching(/container-hooks: SPEC_WRITE_FAILED: .*ENOSPC/),
      });
      await disk.free();
      expect(JSON.parse((await run(["/bin/sh", "-c", "exit $SEEN"], large)).waited)).toMatchObject({
        StatusCode: 5,
      });
    }

    await toolkit.rules('{"nonsense":1}');
    await writeFile(join(toolkit.paths.state, "plan.json"), "");
    const refused = await run(["/bin/sh", "-c", "exit 0"]);
    expect(refused.started.text).toMatch(
      /container-hooks: RULES_INVALID: .*hooks\.json:1:2: nonsense: unknown key/,
    );
  } finally {
    daemon.kill("SIGTERM");
    await ended;
    await unmountBelow(base);
  }
});
