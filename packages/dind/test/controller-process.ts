/** A controller in a process of its own, to be killed: gives a container Docker, or takes it away, and goes on. */
import { connect } from "@aeon/containerd";
import { namespace, openController } from "./open-controller.ts";

const [address = "", folder = "", archive = "", id = "", action = "start"] = process.argv.slice(2);
const client = await connect({ address });
const controller = await openController({ client, folder, archive });
process.stdout.write("open\n");
const main = { namespace, id };
await controller.start(main, AbortSignal.timeout(60_000)).catch(() => {});
process.stdout.write("started\n");
if (action === "stop") {
  process.stdout.write("stopping\n");
  await controller.stop(main);
  process.stdout.write("stopped\n");
}
setInterval(() => {}, 60_000);
