import { LayerStack, type StackedLayer } from "./layer-stack.ts";
import { kindOf } from "./upper-entry.ts";
import { blockSize, padding } from "./tar-entry.ts";

/** Headers of an entry: its own and, since times have nanoseconds, an extended one of two blocks. */
const headers = 3 * blockSize;

/** About how long the archive of several layers as one would be, in bytes. The topmost layer comes first. */
export function weighStack(layers: readonly StackedLayer[]): number {
  using stack = new LayerStack(layers);
  const linked = new Set<string>();
  let bytes = headers;
  const levels = [[...stack.names()]];
  for (let names = levels.at(-1); names !== undefined; names = levels.at(-1)) {
    const text = names.pop();
    if (text === undefined) {
      levels.pop();
      if (levels.length > 0) stack.leave();
      continue;
    }
    const name = Buffer.from(text, "latin1");
    const found = stack.find(name);
    if (found === "hidden" || found === "vanished" || found.foreign) continue;
    bytes += headers;
    const { status, at } = found;
    const kind = kindOf(status);
    if (kind === "directory") {
      stack.enter(name, at, name);
      levels.push([...stack.names()]);
    } else if (kind === "file") {
      const { device, inode, links, size, blocks } = status;
      const key = `${device}:${inode}`;
      if (links > 1 && linked.has(key)) continue;
      if (links > 1) linked.add(key);
      const data = Math.min(blocks * 512, size);
      bytes += data + padding(data);
    }
  }
  return bytes;
}
