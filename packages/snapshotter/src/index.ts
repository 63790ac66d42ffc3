export { errors } from "./errors.ts";
export { openOverlaySnapshotter, type OverlaySnapshotterOptions } from "./overlay/open.ts";
export { serveSnapshotter, type ServeSnapshotterOptions } from "./server/serve.ts";
