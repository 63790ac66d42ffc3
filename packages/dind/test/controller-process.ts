/** A controller in a process of its own, to be killed: gives a container Docker and goes on until then. */
import { connect } from "@aeon/containerd";
import { openController } from "./open-controller.ts";

const [address = "", folder = "", archive = "", id = ""] = process.argv.slice(2);
const client = await connect({ address });
const controller = await openController({ client, folder, archive });
process.stdout.write("open\n");
await controller.start({ namespace: "default", id }, AbortSignal.timeout(60_000)).catch(() => {});
process.stdout.write("started\n");
setInterval(() => {}, 60_000);
