import { parseArgs } from "node:util";
import { errorMessage, Lifetime } from "@aeon/core";
import { openOverlaySnapshotter, serveSnapshotter } from "@aeon/snapshotter";

/** Serves aeon's overlay snapshotter alone until SIGTERM, or until whoever started it is gone. */
const { values } = parseArgs({ options: { root: { type: "string" }, socket: { type: "string" } } });

if (values.root === undefined || values.socket === undefined) {
  console.error("usage: serve --root DIR --socket PATH");
  process.exitCode = 2;
} else {
  await serve(values.root, values.socket).catch((error: unknown) => {
    console.error(errorMessage(error));
    process.exitCode = 1;
  });
}

async function serve(root: string, socket: string): Promise<void> {
  await using life = new Lifetime();
  const stopped = stopRequest();
  const snapshotter = life.use(await openOverlaySnapshotter({ root }));
  life.use(await serveSnapshotter({ snapshotter, socket }));
  await stopped;
  process.stdin.pause();
}

function stopRequest(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once("SIGTERM", () => resolve());
  process.stdin.resume().once("end", resolve).once("error", resolve);
  return promise;
}
