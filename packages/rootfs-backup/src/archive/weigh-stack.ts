import { LayerStack, type StackedLayer } from "./layer-stack.ts";
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
    const name = names.pop();
    if (name === undefined) {
      levels.pop();
      if (levels.length > 0) stack.leave();
      continue;
    }
    const found = stack.read(name, name);
    if (found === "hidden" || found === "vanished" || found.foreign) continue;
    bytes += headers;
    const { entry } = found;
    if (entry.kind === "directory") {
      stack.enter(name);
      levels.push([...stack.names()]);
    } else if (entry.kind === "file") {
      const { dev, ino, nlink, size, blocks } = entry.stat;
      const inode = `${dev}:${ino}`;
      if (nlink > 1n && linked.has(inode)) continue;
      if (nlink > 1n) linked.add(inode);
      const data = Number(blocks * 512n < size ? blocks * 512n : size);
      bytes += data + padding(data);
    }
  }
  return bytes;
}
