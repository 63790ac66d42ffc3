import { access } from "node:fs/promises";
import { openClient } from "@aeon/containerd";

/** True when a containerd behind the socket answers its Version call within `timeoutMs`. */
export async function answersVersion(address: string, timeoutMs: number): Promise<boolean> {
  const present = await access(address).then(
    () => true,
    () => false,
  );
  if (!present) return false;
  await using client = openClient({ address });
  return await client.version({ deadline: timeoutMs }).then(
    () => true,
    () => false,
  );
}
