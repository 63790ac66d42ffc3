import { readFileSync, writeFileSync } from "node:fs";
import { containerId, silentLogger, type BackupId, type Labels } from "@aeon/core";
import { debianFile } from "@aeon/testkit";
import { beforeAll, afterAll, expect, test } from "vitest";
import { backupStore, posixObjects, type BackupStore } from "../src/index.ts";
import type { ObjectStore } from "../src/objects/object-store.ts";
import type { BackupDocument, StoredLayer } from "../src/store/backup-document.ts";
import { refOf } from "../src/store/backup-ref.ts";
import { describeImage } from "../src/store/image-manifest.ts";
import { encodeJson } from "../src/store/json-objects.ts";
import { layout } from "../src/store/layout.ts";
import { nameInChain } from "../src/store/publish.ts";
import { enabled, removeContainer, runContainer } from "./containers.ts";
import { call, space, startNode, type TestNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";

const { signal } = call;
const program = await debianFile("erofs-utils", "usr/bin/mkfs.erofs");
const podOf = (tenant: string): Labels => ({
  ...enabled,
  "io.kubernetes.pod.name": "web-0",
  "io.kubernetes.pod.namespace": tenant,
  "io.kubernetes.pod.uid": `uid-${tenant}`,
  "io.kubernetes.container.name": "app",
});
const attacker = { tenant: "attacker", workload: "web-0", container: "app" };

/** What somebody can write who may write to one tenant's part of a store, by any means. */
class Attacker {
  readonly #objects: ObjectStore;
  readonly #victim: BackupDocument;
  #count = 0;

  constructor(objects: ObjectStore, victim: BackupDocument) {
    this.#objects = objects;
    this.#victim = victim;
  }

  get layer(): StoredLayer {
    const [layer] = this.#victim.layers;
    if (layer === undefined) throw new Error("the victim has no layer");
    return layer;
  }

  /** Names a backup of the attacker that has those layers; the ids and sizes are no secret. */
  async name(layers: readonly StoredLayer[]): Promise<BackupId> {
    const id = `20260101-000000-${String((this.#count += 1)).padStart(10, "0")}` as BackupId;
    const document = { ...this.#victim, id, chain: attacker, layers: [...layers], seq: this.#count };
    const { config, manifest } = describeImage(document);
    for (const { bytes, descriptor } of [config, manifest])
      await this.#objects.create(layout.blob("attacker", descriptor.digest), bytes, signal);
    const ref = refOf(document, manifest.descriptor, config.descriptor);
    await this.#objects.create(layout.pointer("attacker", id), encodeJson(ref), signal);
    await nameInChain(this.#objects, ref, signal);
    return id;
  }

  /** As {@link name}, with the victim's own manifest. */
  async borrow(): Promise<BackupId> {
    const id = `20260101-000001-${String((this.#count += 1)).padStart(10, "0")}` as BackupId;
    const { config, manifest } = describeImage(this.#victim);
    const ref = {
      ...refOf(this.#victim, manifest.descriptor, config.descriptor),
      id,
      chain: attacker,
      seq: this.#count,
    };
    await this.#objects.create(layout.pointer("attacker", id), encodeJson(ref), signal);
    await nameInChain(this.#objects, ref, signal);
    return id;
  }

  async put(digest: string, bytes: Buffer): Promise<void> {
    await this.#objects.create(layout.blob("attacker", digest), bytes, signal);
  }
}

interface World extends AsyncDisposable {
  readonly dir: Scratch;
  readonly node: TestNode;
  readonly attacker: Attacker;
  readonly store: BackupStore;
}

/** A node on which the victim's secret is unpacked and in use. */
async function world(form: "extracted" | "erofs"): Promise<World> {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(scratch());
  const config = {
    store: { path: dir.at("store") },
    "restore-form": form,
    "mkfs-erofs": program,
  } as const;
  const node = stack.use(await startNode({ root: dir.at("node"), config }));
  const labels = podOf("victim");
  const ran = await runContainer(node, dir, { id: "secret", labels, script: "echo secret > secret" });
  const id = await removeContainer(node, ran);
  await runContainer(node, dir, { id: "again", labels, script: "cat secret" });
  const objects = stack.use(posixObjects({ path: dir.at("store"), writer: "attacker" }));
  const store = backupStore({ objects, log: silentLogger });
  const victim = id && (await store.getBackup(id, signal, "victim"));
  if (victim === undefined) throw new Error("the victim has no backup");
  return {
    dir,
    node,
    store,
    attacker: new Attacker(objects, victim.document),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const attacks: Record<string, { run: (of: Attacker) => Promise<BackupId>; reason: RegExp }> = {
  "the victim's digest as its own": {
    run: (of) => of.name([{ ...of.layer, tenant: "attacker" }]),
    reason: /is missing|does not exist|no such|not in/i,
  },
  "the victim's digest as the victim's": {
    run: (of) => of.name([of.layer]),
    reason: /names tenant victim's data/,
  },
  "the victim's digest with bytes of the same size": {
    run: async (of) => {
      await of.put(of.layer.digest, Buffer.alloc(of.layer.size, 1));
      return await of.name([{ ...of.layer, tenant: "attacker" }]);
    },
    reason: /digest|damaged|does not match/i,
  },
  "the victim's manifest": { run: (of) => of.borrow(), reason: /is missing/ },
};

for (const form of ["extracted", "erofs"] as const) {
  let at: World;
  beforeAll(async () => {
    at = await world(form);
  }, 60_000);
  afterAll(async () => {
    await at[Symbol.asyncDispose]();
  });

  test.for(Object.entries(attacks))(
    `a document that names %s gets nothing out of this node (${form})`,
    { timeout: 60_000 },
    async ([name, { run, reason }]) => {
      const { node, dir, attacker: by } = at;
      const backup = await run(by);
      const id = `evil-${form}-${name.replaceAll(/\W/g, "-")}`;
      const start = async () => {
        const request = { backupId: backup, namespace: space, containerId: containerId(id) };
        await node.backups.requestRestore(request, signal);
        return await runContainer(node, dir, { id, labels: podOf("attacker"), script: "cat secret" });
      };
      await expect(start()).rejects.toThrow(reason);
      // Neither by its identity, which leads to the same document.
      const own = { id: `${id}-own`, labels: podOf("attacker"), script: "! test -e secret" };
      await expect(runContainer(node, dir, own)).rejects.toThrow(reason);
    },
  );
}

test("a name that lies in another tenant's folder is refused", { timeout: 60_000 }, async () => {
  await using at = await world("extracted");
  const backup = await at.attacker.name([]);
  const file = at.dir.at("store", layout.pointer("attacker", backup));
  const ref = JSON.parse(readFileSync(file, "utf8")) as { chain: { tenant: string } };
  writeFileSync(file, JSON.stringify({ ...ref, chain: { ...ref.chain, tenant: "victim" } }));
  await expect(at.store.getBackup(backup, signal)).rejects.toMatchObject({ reason: "BACKUP_FOREIGN" });
});
