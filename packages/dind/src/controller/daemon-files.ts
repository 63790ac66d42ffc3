import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DindSettings } from "./dind-settings.ts";
import type { MainProcess } from "./main-process.ts";
import { firewallTable, type Places } from "./places.ts";

/** dockerd's configuration file. What may change while it runs is here, the rest are flags. */
export function daemonConfig(settings: DindSettings): string {
  return JSON.stringify(
    {
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

/** Writes what D reads at its start. */
export async function writeDaemonFiles(
  places: Places,
  settings: DindSettings,
  main: MainProcess,
): Promise<void> {
  await mkdir(join(places.run, "filtered"), { recursive: true, mode: 0o700 });
  await mkdir(places.config, { recursive: true, mode: 0o700 });
  await mkdir(places.filterState, { recursive: true, mode: 0o700 });
  await replace(join(places.config, "daemon.json"), daemonConfig(settings));
  await replace(join(places.config, "resolv.conf"), main.resolver ?? "");
  await replace(join(places.config, "hosts"), main.hosts ?? "127.0.0.1 localhost\n");
  await replace(join(places.run, "filtered", "docker.sock"), "");
  const rules = settings.network === "bridge" ? firewallRules(settings) : "";
  await replace(join(places.run, "rules.nft"), rules);
}

/** dockerd may read at any moment. */
export async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
