import { Socket } from "node:net";

const bufferSize = 128 * 1024;

/**
 * A connection that Node's HTTP server has let go of. What comes is read into one buffer, again and again: Node's usual
 * new memory for every read doubles the time that a large body takes.
 */
export class TakenSocket {
  readonly socket: Socket;
  /** Gets what comes, in memory that is only lent; {@link Socket.pause} in it stops reading. */
  take: ((bytes: Buffer) => void) | undefined;

  constructor(server: Socket) {
    // No public option does this for a connection that was accepted.
    const handle: unknown = Reflect.get(server, "_handle");
    Reflect.set(server, "_handle", null);
    const buffer = Buffer.allocUnsafeSlow(bufferSize);
    const callback = (length: number): true => {
      this.take?.(buffer.subarray(0, length));
      return true;
    };
    // A client that ends its side is gone, as for Node's server.
    const options = { handle, allowHalfOpen: false, onread: { buffer, callback } };
    this.socket = new Socket(options);
    this.socket.pause();
    // Without a listener a reset would end the process. The server counts by its own object.
    this.socket.on("error", () => this.socket.destroy()).on("close", () => server.destroy());
  }

  /** What the client still sends is dropped from now on, so that its end is seen, and no answer lost to a reset. */
  drop(): void {
    this.take = undefined;
    this.socket.resume();
  }
}
