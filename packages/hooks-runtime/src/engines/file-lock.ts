import { createServer } from "node:net";
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";

const longestWaitMs = 30_000;
const retryMs = 50;

/**
 * Keeps others of this toolkit away from a file while `action` runs. The lock is a name that the kernel frees with the
 * process, so that none stays behind. Throws `CONFIG_BUSY` after 30 seconds.
 */
export async function withFileLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  const name = createHash("sha256").update(file).digest("hex").slice(0, 32);
  const deadline = Date.now() + longestWaitMs;
  for (;;) {
    const lock = await listen(`\0container-hooks-${name}`);
    if (lock !== undefined) {
      await using _ = lock;
      return await action();
    }
    if (Date.now() > deadline)
      throw errors.CONFIG_BUSY(`${file} is being changed by another process`, { details: { file } });
    await delay(retryMs);
  }
}

function listen(name: string): Promise<AsyncDisposable | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<AsyncDisposable | undefined>();
  const server = createServer((socket) => socket.destroy());
  server.once("error", (error) => (errnoOf(error) === "EADDRINUSE" ? resolve(undefined) : reject(error)));
  server.listen(name, () => resolve(server));
  return promise;
}
