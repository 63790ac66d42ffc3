import type { Duplex } from "node:stream";

/** How long a client may keep its side open after it got all that dockerd said, in milliseconds. */
const longestGraceMs = 30_000;

/**
 * Joins two connections: bytes both ways at the slower side's pace, the end of one direction passed on while the other
 * goes on. A client that is gone ends dockerd's side at once; what dockerd said before its own end, even by a reset,
 * still reaches the client. No time-out while both are open or something is to be read.
 */
export function tunnel(client: Duplex, server: Duplex, ended: () => void, graceMs = longestGraceMs): void {
  let open = 2;
  let timer: NodeJS.Timeout | undefined;
  const closed = (): void => {
    open -= 1;
    if (open > 0) return;
    clearTimeout(timer);
    ended();
  };
  // Without a listener a reset would end the process.
  for (const side of [client, server]) side.on("error", () => {});
  client.pipe(server);
  server.pipe(client);
  client.on("close", () => {
    // Whole only when both directions came to their end; else nobody takes what dockerd still says.
    if (!client.readableEnded || !server.readableEnded) server.destroy();
    closed();
  });
  server.on("close", () => {
    client.end();
    // Nobody takes what the client still sends; read, its end is seen.
    client.resume();
    closed();
  });
  client.on("finish", () => {
    timer = setTimeout(() => {
      client.destroy();
      server.destroy();
    }, graceMs).unref();
  });
}
