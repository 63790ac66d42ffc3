import type { Socket } from "node:net";
import { errors } from "../errors.ts";
import type { MessageStream } from "./connection.ts";
import { largestData } from "./frame.ts";

const headerLength = 8;
/** Runtimes read the start of a message into a buffer of this size and drop the connection when the frame does not fit. */
const largestFirst = 4096;
/** They read the rest into the message's own memory; and they drop the connection when 256 frames wait to be read. */
const largestSent = 65_536;
const largestReceived = largestData + 10;

/**
 * NRI's multiplexer: several streams of bytes on one socket, told apart by a number. Frames received do not align with
 * messages; frames sent never span two messages, and a message's first one holds at most 4096 bytes.
 */
export class Mux implements Disposable {
  readonly #socket: Socket;
  readonly #channels = new Map<number, Channel>();
  #buffered: Buffer[] = [];
  #length = 0;
  #cause: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error) => (this.#cause ??= error));
    socket.on("close", () => this.#close());
  }

  /** The stream with this number; to be asked for before the peer sends on it. */
  channel(id: number): MessageStream {
    const channel = new Channel((message) => this.#send(id, message));
    this.#channels.set(id, channel);
    return channel;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #send(id: number, message: Buffer): void {
    if (this.#socket.destroyed) return;
    this.#socket.cork();
    for (let at = 0, end: number; at < message.length; at = end) {
      end = at + (at === 0 ? largestFirst : largestSent);
      const part = message.subarray(at, end);
      const header = Buffer.allocUnsafe(headerLength);
      header.writeUInt32BE(id, 0);
      header.writeUInt32BE(part.length, 4);
      this.#socket.write(header);
      this.#socket.write(part);
    }
    this.#socket.uncork();
  }

  #receive(bytes: Buffer): void {
    this.#buffered.push(bytes);
    this.#length += bytes.length;
    while (this.#length >= headerLength) {
      const all = this.#buffered.length === 1 ? (this.#buffered[0] ?? bytes) : Buffer.concat(this.#buffered);
      const length = all.readUInt32BE(4);
      if (length > largestReceived)
        return void this.#socket.destroy(
          errors.TTRPC_MESSAGE_TOO_LARGE(`a frame of ${length} bytes was announced`),
        );
      this.#buffered = [all];
      if (all.length < headerLength + length) return;
      const rest = all.subarray(headerLength + length);
      this.#buffered = rest.length > 0 ? [rest] : [];
      this.#length = rest.length;
      this.#channels.get(all.readUInt32BE(0))?.receive(all.subarray(headerLength, headerLength + length));
    }
  }

  #close(): void {
    const cause = this.#cause ?? new Error("the peer closed it");
    for (const channel of this.#channels.values()) channel.close(cause);
  }
}

class Channel implements MessageStream {
  readonly send: (message: Buffer) => void;
  #onBytes: ((bytes: Buffer) => void) | undefined;
  #onClose: ((cause: Error) => void) | undefined;

  constructor(send: (message: Buffer) => void) {
    this.send = send;
  }

  onBytes(listener: (bytes: Buffer) => void): void {
    this.#onBytes = listener;
  }

  onClose(listener: (cause: Error) => void): void {
    this.#onClose = listener;
  }

  receive(bytes: Buffer): void {
    this.#onBytes?.(bytes);
  }

  close(cause: Error): void {
    this.#onClose?.(cause);
  }
}
