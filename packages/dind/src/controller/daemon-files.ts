import { chmod, lchown, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DindSettings } from "./dind-settings.ts";
import type { MainProcess } from "./main-process.ts";
import { firewallTable, inside, type Places } from "./places.ts";

/** dockerd's configuration file. What may change while it runs is here, the rest are flags. */
export function daemonConfig(settings: DindSettings): string {
  return JSON.stringify(
    {
      features: { cdi: true },
      "cdi-spec-dirs": [`${inside.config}/cdi`],
      debug: settings.debug,
      "registry-mirrors": settings.registryMirrors,
      "insecure-registries": settings.insecureRegistries,
      builder: {
        entitlements: {
          "network-host": settings.network !== "strict",
          "security-insecure": false,
          device: false,
        },
      },
    },
    undefined,
    2,
  );
}

/** dockerd's flags: one Unix socket, no firewall rules, its own private networks. */
export function daemonFlags(settings: DindSettings): readonly string[] {
  const { addressPool } = settings;
  const address = addressPool.replace(/\d+\/\d+$/, "1/24");
  return [
    "--host=unix:///run/aeon/dockerd.sock",
    "--iptables=false",
    "--ip6tables=false",
    "--storage-driver=overlay2",
    "--data-root=/var/lib/docker",
    "--exec-root=/run/docker",
    "--pidfile=/run/docker.pid",
    ...(settings.network === "bridge"
      ? [`--bip=${address}`, `--default-address-pool=base=${addressPool},size=24`]
      : ["--bridge=none", `--default-address-pool=base=${addressPool},size=24`]),
  ];
}

/** Everything that leaves the inner networks does so under the pod's address; the one rule that aeon owns. */
export const firewallRules = ({ addressPool }: DindSettings): string =>
  `table ip ${firewallTable} {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${addressPool} ip daddr != ${addressPool} masquerade
  }
}
`;

/** Host ids of D's root user. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** GPUs of the main container: files of their driver, and their CDI specification. */
export interface MainGpus {
  readonly drivers: readonly string[];
  readonly spec: string | undefined;
}

/** Writes what D reads at its start. Nothing is written where D can put links. */
export async function writeDaemonFiles(
  places: Places,
  settings: DindSettings,
  main: MainProcess,
  owner: Owner,
  gpus: MainGpus,
): Promise<void> {
  // Mount points that went with an earlier D.
  await rm(places.pins, { recursive: true, force: true });
  await rm(places.drivers, { recursive: true, force: true });
  const cdi = join(places.config, "cdi");
  const read = [places.config, cdi, places.pins, places.filtered, places.drivers];
  for (const folder of [places.run, places.filterState, ...read])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  await lchown(places.run, owner.uid, owner.gid);
  // D's root is not the host's, maybe; nobody else gets as far as here.
  for (const folder of read) await chmod(folder, 0o755);
  await replace(join(places.config, "daemon.json"), daemonConfig(settings));
  await replace(join(places.config, "resolv.conf"), main.resolver ?? "");
  await replace(join(places.config, "hosts"), main.hosts ?? "127.0.0.1 localhost\n");
  const rules = settings.network === "bridge" ? firewallRules(settings) : "";
  await replace(join(places.config, "rules.nft"), rules);
  await replace(join(places.filtered, "docker.sock"), "");
  for (const index of gpus.drivers.keys()) await replace(join(places.drivers, String(index)), "");
  if (gpus.spec === undefined) await rm(join(cdi, "gpu.json"), { force: true });
  else await replace(join(cdi, "gpu.json"), gpus.spec);
}

/** dockerd may read at any moment. */
export async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o644 });
  await rename(`${path}.new`, path);
}
