import { GenericContainer, Network } from "testcontainers";

// Runs in the pod's network namespace: published ports are on its loopback. With `leave` it dies in the middle.
const network = await new Network().start();
const container = await new GenericContainer("busybox:latest")
  .withCommand(["sh", "-c", "mkdir /www; echo served > /www/index.html; httpd -f -p 8080 -h /www"])
  .withExposedPorts(8080)
  .withNetwork(network)
  .withNetworkAliases("web")
  .start();
const page = await fetch(`http://${container.getHost()}:${container.getMappedPort(8080)}/`);
const { output, exitCode } = await container.exec(["wget", "-qO-", "http://web:8080/"]);
const text = `${JSON.stringify({ page: await page.text(), output, exitCode })}\n`;
await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
if (process.argv.includes("leave")) process.kill(process.pid, "SIGKILL");
await container.stop();
await network.stop();
