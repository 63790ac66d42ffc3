import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tunnel } from "./tunnel.ts";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

let folder: string;
let sockets: Socket[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aeon-"));
  sockets = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await rm(folder, { recursive: true });
});

/** Two ends of a connection that may be half closed, neither of them read yet. */
async function pair(): Promise<Pair> {
  const path = join(folder, randomUUID());
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(path);
  await once(server, "listening");
  const near = connect({ path, allowHalfOpen: true });
  const [far]: Socket[] = await once(server, "connection");
  server.close();
  if (far === undefined) throw new Error("no connection");
  near.pause();
  sockets.push(near, far);
  return { near, far };
}

/** Docker's client and dockerd with a tunnel between them. */
async function joined(graceMs?: number) {
  const [client, server] = [await pair(), await pair()];
  const ended = Promise.withResolvers<void>();
  tunnel(client.far, server.near, ended.resolve, graceMs);
  return { client: client.near, dockerd: server.far, ended: ended.promise };
}

test("each direction ends by itself, and then the tunnel", async () => {
  const { client, dockerd, ended } = await joined();
  client.end("to dockerd");
  expect((await buffer(dockerd)).toString()).toBe("to dockerd");
  dockerd.end("to the client");
  expect((await buffer(client)).toString()).toBe("to the client");
  await ended;
});

/** Bytes: what fits into the buffers of the kernel and of the tunnel, and what does not. */
const sizes = Array.from({ length: 16 }, (_, index) => 30_000 * (index + 1));

test("what dockerd said before a reset reaches a client that reads late", async () => {
  await Promise.all(
    sizes.map(async (size) => {
      const { client, dockerd, ended } = await joined();
      client.write("never read");
      await once(dockerd, "readable");
      const said = Buffer.alloc(size, "x");
      // With something unread, closing resets the connection.
      dockerd.write(said, () => dockerd.destroy());
      await Promise.race([once(dockerd, "close"), sleep(200)]);
      client.end();
      expect((await buffer(client)).equals(said)).toBe(true);
      await ended;
    }),
  );
});

test("a client that reads slowly gets all, however long after dockerd's end", async () => {
  await Promise.all(
    sizes.map(async (size) => {
      const { client, dockerd, ended } = await joined(20);
      const said = Buffer.alloc(size, "x");
      dockerd.end(said);
      await sleep(200);
      expect((await buffer(client)).equals(said)).toBe(true);
      // The client never closes its side.
      await ended;
    }),
  );
});

test("a client that is gone ends dockerd's side at once", async () => {
  const { client, dockerd, ended } = await joined();
  dockerd.on("error", () => {}).resume();
  client.destroy();
  const talk = (error?: Error | null): void => {
    if (!error) dockerd.write("more", talk);
  };
  talk();
  await ended;
  await expect.poll(() => dockerd.destroyed).toBe(true);
});
