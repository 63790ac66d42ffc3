import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Part of BuildKit's `pb.ExecOp` that decides how far a step can reach. */
export interface Step {
  readonly args: readonly string[];
  readonly network?: "host";
  readonly security?: "insecure";
  readonly device?: string;
  /** Folder of the image that is mounted at `/x`. */
  readonly selector?: string;
}

/** Where a build takes files from, such as `docker-image://…`. */
export interface Source {
  readonly identifier: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What BuildKit answered: a gRPC status, 0 for success. */
export interface Solved {
  readonly status: number;
  readonly message: string;
}

/** BuildKit's control API over the socket's `/grpc`, without the checks of a client. */
export class BuildKit implements Disposable {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** Runs a step on a source. */
  async solve(source: Source, step: Step | undefined, entitlements: readonly string[] = []): Promise<Solved> {
    const first = operation([], 3, sourceOf(source));
    const steps = step === undefined ? [] : [operation([digest(first)], 2, execOf(step))];
    const last = new BinaryWriter();
    input(last, digest(steps[0] ?? first));
    const definition = new BinaryWriter();
    for (const bytes of [first, ...steps, last.finish()]) tag(definition, 1).bytes(bytes);
    const request = new BinaryWriter();
    tag(request, 1).string(`ref-${performance.now()}`);
    tag(request, 2).bytes(definition.finish());
    for (const name of entitlements) tag(request, 9).string(name);
    return this.#call("/moby.buildkit.v1.Control/Solve", request.finish());
  }

  async #call(path: string, message: Uint8Array): Promise<Solved> {
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([frame, message]));
    const told: Record<string, string | undefined> = {};
    for (const event of ["response", "trailers"])
      stream.on(event, (headers: Readonly<Record<string, string>>) => Object.assign(told, headers));
    stream.resume();
    await once(stream, "close");
    return {
      status: Number(told["grpc-status"] ?? -1),
      message: decodeURIComponent(told["grpc-message"] ?? ""),
    };
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** Opens the tunnel that `docker buildx` uses. */
export async function openBuildKit(socketPath: string): Promise<BuildKit> {
  const socket = connect(socketPath);
  socket.write("POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  const [head] = (await once(socket, "data")) as [Buffer];
  if (!head.toString().startsWith("HTTP/1.1 101 ")) throw new Error(head.toString());
  socket.pause();
  const after = head.subarray(head.indexOf("\r\n\r\n") + 4);
  if (after.length > 0) socket.unshift(after);
  const session = connectHttp2("http://docker", { createConnection: () => socket });
  await once(session, "connect");
  return new BuildKit(session);
}

const digest = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const tag = (writer: BinaryWriter, field: number): BinaryWriter =>
  writer.tag(field, WireType.LengthDelimited);

function input(writer: BinaryWriter, of: string): void {
  tag(writer, 1).bytes(tag(new BinaryWriter(), 1).string(of).finish());
}

function operation(inputs: readonly string[], field: number, kind: Uint8Array): Uint8Array {
  const writer = new BinaryWriter();
  for (const each of inputs) input(writer, each);
  return tag(writer, field).bytes(kind).finish();
}

function sourceOf({ identifier, attributes = {} }: Source): Uint8Array {
  const writer = tag(new BinaryWriter(), 1).string(identifier);
  for (const [key, value] of Object.entries(attributes)) {
    const pair = tag(new BinaryWriter(), 1).string(key);
    tag(writer, 2).bytes(tag(pair, 2).string(value).finish());
  }
  return writer.finish();
}

function execOf({ args, network, security, device, selector }: Step): Uint8Array {
  const meta = new BinaryWriter();
  for (const word of args) tag(meta, 1).string(word);
  tag(meta, 3).string("/");
  const writer = tag(new BinaryWriter(), 1).bytes(meta.finish());
  tag(writer, 2).bytes(tag(new BinaryWriter(), 3).string("/").finish());
  if (selector !== undefined) {
    const mount = tag(new BinaryWriter(), 2).string(selector);
    // -1: it is no result.
    tag(mount, 3).string("/x").tag(4, WireType.Varint).int64(-1n);
    tag(writer, 2).bytes(mount.finish());
  }
  if (network !== undefined) writer.tag(3, WireType.Varint).int32(1);
  if (security !== undefined) writer.tag(4, WireType.Varint).int32(1);
  if (device !== undefined) tag(writer, 6).bytes(tag(new BinaryWriter(), 1).string(device).finish());
  return writer.finish();
}
