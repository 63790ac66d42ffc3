import { access } from "node:fs/promises";
import { Client, credentials } from "@grpc/grpc-js";

const method = "/containerd.services.version.v1.Version/Version";

/** True when a containerd behind the socket answers its Version call within `timeoutMs`. */
export async function answersVersion(address: string, timeoutMs: number): Promise<boolean> {
  const present = await access(address).then(
    () => true,
    () => false,
  );
  if (!present) return false;
  const client = new Client(`unix:${address}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  client.makeUnaryRequest(
    method,
    (request: Buffer) => request,
    (reply: Buffer) => reply,
    Buffer.alloc(0),
    { deadline: Date.now() + timeoutMs },
    (error) => resolve(error === null),
  );
  return promise.finally(() => client.close());
}
