import type { Duplex } from "node:stream";

/** How long a client may keep its side open after dockerd ended the connection. */
const graceMs = 30_000;

/**
 * Joins two connections: bytes both ways at the slower side's pace, the end of one direction passed on while the other
 * goes on, and both gone when either fails. No time-out while both are open.
 */
export function tunnel(client: Duplex, server: Duplex, ended: () => void): void {
  let open = 2;
  let timer: NodeJS.Timeout | undefined;
  const closed = (): void => {
    open -= 1;
    if (open > 0) return;
    clearTimeout(timer);
    ended();
  };
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      // A reset has no 'end', so pipe() did not pass it on.
      if (!from.readableEnded) to.destroy();
      else if (!to.writableEnded) to.end();
      closed();
    });
  }
  server.on("end", () => {
    timer = setTimeout(() => {
      client.destroy();
      server.destroy();
    }, graceMs).unref();
  });
}
