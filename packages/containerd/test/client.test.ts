import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  stackedLayers,
  temporaryFolder,
  type PrivateContainerd,
} from "@aeon/testkit";
import { snapshotKey } from "@aeon/core";
import { digestOf } from "@aeon/oci";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type Client, type ContainerdEvent, type Task } from "../src/index.ts";

const read = (task: Pick<Task, "stdout" | "stderr">, name: "stdout" | "stderr"): Promise<string> =>
  text(task[name] ?? Readable.from([]));

const leftPipes = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("aeon-io-"));

async function* lie(): AsyncGenerator<Buffer> {
  yield Buffer.from("lie");
}

/** For what takes milliseconds on an idle machine. */
const patience = { timeout: 15_000 };

/** Of its own: runc keeps all containers of the machine by namespace and id. */
const namespace = `test-${process.pid}`;

describe.each(containerdVersions)("containerd %s", (version) => {
  let resources: AsyncDisposableStack;
  let containerd: PrivateContainerd;
  let client: Client;
  let archive: string;
  let imageName: string;

  beforeAll(async () => {
    resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder("client"));
    containerd = resources.use(await launchContainerd({ version }));
    client = resources.use(await connect({ address: containerd.address, namespace }));
    const image = await busyboxImage({ file: join(folder.path, "image.tar") });
    archive = image.file;
    imageName = image.name;
    await client.import(createReadStream(archive), { unpack: "overlayfs" });
  });

  afterAll(() => resources.disposeAsync());

  /** Runs a command to its end in a container of its own. */
  async function run(id: string, args: readonly string[]) {
    const container = await client.createContainer(id, { image: imageName, args });
    const task = await container.newTask({ stdout: "pipe", stderr: "pipe" });
    const output = Promise.all([read(task, "stdout"), read(task, "stderr")]);
    await task.start();
    const { code } = await task.wait();
    await task.delete();
    await container.delete({ snapshot: true });
    const [stdout, stderr] = await output;
    return { code, stdout, stderr };
  }

  test("tells its version and plugins", async () => {
    expect((await client.version()).version).toContain(version);
    expect((await client.server()).uuid).not.toBe("");
    const plugins = await client.plugins(["type==io.containerd.snapshotter.v1"]);
    expect(plugins.find(({ id }) => id === "overlayfs")?.failure).toBeUndefined();
  });

  test("namespaces come, take labels and go", async () => {
    await client.namespaces.create("team-a", { owner: "x" });
    expect(await client.namespaces.setLabels("team-a", { owner: "", "a.b/c": "1" })).toEqual({
      name: "team-a",
      labels: { "a.b/c": "1" },
    });
    await expect(client.namespaces.create("team-a")).rejects.toMatchObject({ code: "already-exists" });
    expect((await client.namespaces.list()).map(({ name }) => name)).toContain("team-a");
    await client.namespaces.delete("team-a");
    await expect(client.namespaces.get("team-a")).rejects.toMatchObject({ code: "not-found" });
  });

  test("an imported image is labelled for the garbage collector and unpacked", async () => {
    const image = await client.images.get(imageName);
    expect(await image.isUnpacked("overlayfs")).toBe(true);
    const { manifest } = await image.resolve();
    const config = await client.content.info(manifest.config.digest);
    expect(config.labels["containerd.io/gc.ref.snapshot.overlayfs"]).toBe(await image.chainId());
    const target = await client.content.info(image.target.digest);
    expect(target.labels["containerd.io/gc.ref.content.config"]).toBe(manifest.config.digest);
    await containerd.ctr(["--namespace", namespace, "content", "prune", "references"]);
    expect(
      await containerd.ctr(["--namespace", namespace, "images", "check", `name==${imageName}`]),
    ).toContain("complete");
  });

  test("several clients unpack the same image at once", async () => {
    const other = `${imageName}-layered`;
    const { layers } = stackedLayers(4);
    await using folder = await temporaryFolder("unpack");
    const built = await busyboxImage({ file: join(folder.path, "image.tar"), name: other, layers });
    const [image] = await client.import(createReadStream(built.file));
    if (!image) throw new Error("no image");
    await Promise.all([1, 2, 3, 4].map(() => image.unpack("overlayfs")));
    expect(await image.isUnpacked("overlayfs")).toBe(true);
    const names: string[] = [];
    for await (const { name } of await client.snapshotter("overlayfs").list({ filters: [] }))
      names.push(name);
    expect(names.filter((name) => !name.startsWith("sha256:"))).toEqual([]);
    await client.images.delete(other, { sync: true });
    await expect(client.images.get(other)).rejects.toMatchObject({ code: "not-found" });
  });

  test("runs a container and captures output and exit code", async () => {
    const result = await run("run", ["sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(result).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
    expect(await client.containers()).toEqual([]);
  });

  test("a megabyte of output arrives whole", async () => {
    const { stdout } = await run("big", ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"]);
    expect(stdout.length).toBe(1_000_000);
  });

  test("input reaches the process and its end is seen", async () => {
    const container = await client.createContainer("cat", { image: imageName, args: ["cat"] });
    const task = await container.newTask({ stdin: "pipe", stdout: "pipe" });
    const output = read(task, "stdout");
    await task.start();
    task.stdin?.end("hello\n");
    expect(await task.wait()).toMatchObject({ code: 0 });
    await task.delete();
    expect(await output).toBe("hello\n");
    await container.delete({ snapshot: true });
  });

  test("exec, pids, metrics, update, pause and kill work on a running container", async () => {
    const container = await client.createContainer("busy", { image: imageName, args: ["sleep", "1000"] });
    const task = await container.newTask();
    await task.start();
    expect((await task.status()).state).toBe("running");

    const probe = await task.exec({
      args: ["sh", "-c", "echo $GREETING; exit 3"],
      env: ["GREETING=hi"],
      stdout: "pipe",
    });
    const output = read(probe, "stdout");
    await probe.start();
    expect(await probe.wait()).toMatchObject({ code: 3 });
    await probe.delete();
    expect(await output).toBe("hi\n");

    const cat = await task.exec({ args: ["cat"], stdin: "pipe", stdout: "pipe" });
    const echoed = read(cat, "stdout");
    await cat.start();
    cat.stdin?.end("through exec");
    expect((await cat.wait()).code).toBe(0);
    await cat.delete();
    expect(await echoed).toBe("through exec");

    expect((await task.pids()).map(({ pid }) => pid)).toContain(task.pid);
    expect((await task.metrics())?.id).toBe("busy");
    await task.update({ pids: { limit: 50 } });
    await task.pause();
    expect((await task.status()).state).toBe("paused");
    await task.resume();

    const again = await client.container("busy").task();
    expect(again.pid).toBe(task.pid);
    await expect(container.delete()).rejects.toMatchObject({ code: "failed-precondition" });
    const exit = task.wait();
    await again.kill("SIGKILL");
    expect((await exit).code).toBe(137);
    await task.delete();
    await container.setLabels({ "aeon.test/x": "1" });
    expect((await container.info()).labels["aeon.test/x"]).toBe("1");
    await container.delete({ snapshot: true });
    await expect(container.info()).rejects.toMatchObject({ code: "not-found" });
  });

  test("input that is complete before the process starts is not lost", async () => {
    const container = await client.createContainer("early", { image: imageName, args: ["cat"] });
    const task = await container.newTask({ stdin: Readable.from(["early bird"]), stdout: "pipe" });
    const output = read(task, "stdout");
    if (task.stdin && !task.stdin.closed) await once(task.stdin, "close");
    await task.start();
    expect(await task.wait()).toMatchObject({ code: 0 });
    await task.delete();
    expect(await output).toBe("early bird");
    await container.delete({ snapshot: true });
  });

  test("the same goes for exec", async () => {
    const container = await client.createContainer("early-exec", {
      image: imageName,
      args: ["sleep", "1000"],
    });
    const task = await container.newTask();
    await task.start();
    const cat = await task.exec({ args: ["cat"], stdin: "pipe", stdout: "pipe" });
    const output = read(cat, "stdout");
    cat.stdin?.end("early bird");
    if (cat.stdin) await once(cat.stdin, "close");
    await cat.start();
    expect(await cat.wait()).toMatchObject({ code: 0 });
    await cat.delete();
    expect(await output).toBe("early bird");
    await task.kill("SIGKILL");
    await task.wait();
    await task.delete();
    await container.delete({ snapshot: true });
  });

  test("many execs at once keep their input and output apart", async () => {
    const container = await client.createContainer("many", { image: imageName, args: ["sleep", "1000"] });
    const task = await container.newTask();
    await task.start();
    const results = await Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        const input = Readable.from([Buffer.alloc(200_000, `${number} `)]);
        const sum = await task.exec({ args: ["md5sum"], stdin: input, stdout: "pipe" });
        const output = read(sum, "stdout");
        await sum.start();
        const { code } = await sum.wait();
        await sum.delete();
        return `${code} ${(await output).split(" ")[0]}`;
      }),
    );
    const expected = Array.from({ length: 20 }, (_, number) => {
      const sum = createHash("md5")
        .update(Buffer.alloc(200_000, `${number} `))
        .digest("hex");
      return `0 ${sum}`;
    });
    expect(results).toEqual(expected);
    await task.kill("SIGKILL");
    await task.wait();
    await task.delete();
    await container.delete({ snapshot: true });
  });

  test("output goes to a given stream, which stays open", async () => {
    const container = await client.createContainer("sink", { image: imageName, args: ["seq", "1", "3"] });
    const sink = new PassThrough();
    const task = await container.newTask({ stdout: sink });
    await task.start();
    await task.wait();
    await task.delete();
    expect(sink.writable).toBe(true);
    expect(sink.read().toString()).toBe("1\n2\n3\n");
    await container.delete({ snapshot: true });
  });

  test("a terminal merges both outputs and can be resized", async () => {
    const container = await client.createContainer("tty", {
      image: imageName,
      args: ["sh", "-c", "sleep 0.2; stty size; echo err >&2"],
      terminal: true,
    });
    const task = await container.newTask({ stdin: "pipe", stdout: "pipe", terminal: true });
    const output = read(task, "stdout");
    await task.start();
    await task.resize(101, 33);
    await task.wait();
    await task.delete();
    expect(await output).toBe("33 101\r\nerr\r\n");
    await container.delete({ snapshot: true });
  });

  test("events arrive decoded, and after a restart of containerd with a gap", async () => {
    const stop = new AbortController();
    const seen: ContainerdEvent[] = [];
    const following = (async () => {
      for await (const event of client.events({
        filters: ['topic~="/(containers|tasks)/"'],
        signal: stop.signal,
      }))
        seen.push(event);
    })();
    await expect.poll(() => seen[0], patience).toMatchObject({ kind: "gap", first: true });
    await run("eventful", ["true"]);
    // The shim sends /tasks/delete while it shuts down, and under load containerd never gets it.
    const topics = () =>
      seen
        .map((event) => (event.kind === "gap" ? "gap" : event.topic))
        .filter((topic) => topic !== "/tasks/delete");
    await expect
      .poll(topics, patience)
      .toEqual([
        "gap",
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/tasks/exit",
        "/containers/delete",
      ]);
    const exit = seen.find((event) => event.kind === "event" && event.topic === "/tasks/exit");
    expect(exit).toMatchObject({ namespace, payload: { containerId: "eventful", exitStatus: 0 } });

    await containerd.restart();
    await expect.poll(() => seen.at(-1), patience).toMatchObject({ kind: "gap", first: false });
    await run("after", ["true"]);
    await expect
      .poll(() => seen, patience)
      .toContainEqual(
        expect.objectContaining({
          topic: "/containers/delete",
          payload: expect.objectContaining({ id: "after" }),
        }),
      );
    stop.abort();
    await following;
  });

  test("a wait goes on through a restart of containerd", async () => {
    const container = await client.createContainer("patient", { image: imageName, args: ["sleep", "1000"] });
    const task = await container.newTask();
    await task.start();
    const exit = task.wait();
    await containerd.kill();
    await containerd.start();
    await expect
      .poll(
        () =>
          task.kill("SIGKILL").then(
            () => true,
            () => false,
          ),
        patience,
      )
      .toBe(true);
    expect((await exit).code).toBe(137);
    await task.delete();
    await container.delete({ snapshot: true });
  });

  test("a wrong event filter fails at once", async () => {
    const events = client.events({ filters: ["=="] });
    await expect(events.next()).rejects.toMatchObject({ code: "invalid-argument" });
  });

  test("an ingest is resumed where it stopped", async () => {
    const blob = Buffer.alloc(3_000_000, "content");
    const expected = digestOf(blob);
    {
      await using writer = await client.content.writer({ ref: "resumed", expected, size: blob.length });
      await writer.write(blob.subarray(0, 1_500_000));
      await expect(client.content.writer({ ref: "resumed" })).rejects.toMatchObject({ code: "unavailable" });
    }
    expect(await client.content.status("resumed")).toMatchObject({ offset: 1_500_000, total: 3_000_000 });
    const offsets: number[] = [];
    await client.withLease(async (leased) => {
      const open = async function* (offset: number) {
        offsets.push(offset);
        yield blob.subarray(offset);
      };
      const request = { ref: "resumed", expected, size: blob.length, labels: { a: "b" }, open };
      expect(await leased.content.ingest(request)).toBe(expected);
      expect(await leased.content.ingest({ ...request, ref: "another" })).toBe(expected);
      // Without the lease the garbage collector may take it.
      expect(offsets).toEqual([1_500_000]);
      expect(await client.content.info(expected)).toMatchObject({ size: blob.length, labels: { a: "b" } });
      const chunks: Uint8Array[] = [];
      for await (const chunk of client.content.read(expected, { offset: 10, size: 20 })) chunks.push(chunk);
      expect(Buffer.concat(chunks)).toEqual(blob.subarray(10, 30));
      await client.content.delete(expected);
      await expect(client.content.info(expected)).rejects.toMatchObject({ code: "not-found" });
    });
  });

  test("content that is not what it claims is refused, an ingest can be aborted", async () => {
    const expected = digestOf("truth");
    await expect(client.content.ingest({ ref: "liar", expected, open: lie })).rejects.toMatchObject({
      code: expect.stringMatching(/failed-precondition|invalid-argument/),
    });
    expect((await client.content.statuses()).map(({ ref }) => ref)).toContain("liar");
    await client.content.abort("liar");
    await expect(client.content.status("liar")).rejects.toMatchObject({ code: "not-found" });
  });

  test("a lease protects what nothing refers to", async () => {
    const key = snapshotKey("leased");
    const lease = await client.leases.create({ id: "keeper", expiresIn: 60_000 });
    await client
      .snapshotter("overlayfs")
      .prepare({ key, labels: {} }, { caller: { namespace, lease: lease.id } });
    expect(await client.leases.resources("keeper")).toEqual([{ id: "leased", type: "snapshots/overlayfs" }]);
    expect((await client.leases.list()).map(({ id }) => id)).toEqual(["keeper"]);
    await client.leases.delete("keeper", { sync: true });
    await expect(client.snapshotter("overlayfs").stat({ key })).rejects.toMatchObject({ code: "not-found" });
  });

  test("a failing task leaves no pipe and no container", async () => {
    await expect(
      client.createContainer("bad", { image: "localhost/none:1", args: ["true"] }),
    ).rejects.toMatchObject({ code: "not-found" });
    const container = await client.createContainer("bad", { image: imageName, args: ["/no/such/program"] });
    const pipes = await leftPipes();
    await expect(container.newTask({ stdout: "pipe" })).rejects.toThrow(/no such file/);
    expect(await leftPipes()).toEqual(pipes);
    await container.delete({ snapshot: true });
    expect(await client.leases.list()).toEqual([]);
  });

  test("calls end when the server goes, the signal aborts, or time is up", async () => {
    const container = await client.createContainer("waited", { image: imageName, args: ["sleep", "1000"] });
    const task = await container.newTask();
    await task.start();
    const abort = new AbortController();
    const aborted = task.wait({ signal: abort.signal });
    aborted.catch(() => {});
    await sleep(20);
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: "canceled" });
    await expect(task.wait({ deadline: 50 })).rejects.toMatchObject({ code: "deadline-exceeded" });
    await task.kill("SIGKILL");
    await task.wait();
    await task.delete();
    await container.delete({ snapshot: true });
  });
});
