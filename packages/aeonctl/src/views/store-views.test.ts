import type { BackupDocument } from "@aeon/rootfs-backup";
import type { ListedBackup, TreeChange, TreeEntry } from "@aeon/rootfs-backup/inspect";
import { expect, test } from "vitest";
import { plainStyle } from "../format/style.ts";
import { storedTable } from "./backup.ts";
import { changeTable, changeView } from "./change.ts";
import { fileTable, fileTree, fileView } from "./file.ts";
import { removalText } from "./removal.ts";
import { documentView, shownBackup } from "./shown-backup.ts";
import { storedBackupView } from "./stored-backup.ts";
import { verifyTable, verifyView } from "./verify.ts";

const layer = (backup: string, size: number): BackupDocument["layers"][number] => ({
  tenant: "team",
  digest: `sha256:${backup}`,
  size,
  diffId: "sha256:d",
  rawSize: 10 * size,
  entries: 3,
  backup,
  index: { mediaType: "i", digest: "sha256:i", size: 1 },
  toc: { mediaType: "t", digest: "sha256:t", size: 1 },
});

const document: BackupDocument = {
  format: 1,
  id: "two",
  chain: { tenant: "team", workload: "web-0", container: "web" },
  seq: 2,
  epoch: 0,
  node: "node-a",
  identity: {
    namespace: "k8s.io",
    containerId: "c2",
    snapshotKey: "k8s.io/2/c2",
    image: "example/web:1",
    labels: {},
    exit: { code: 137, at: "1700000000000000000" },
    outOfMemory: true,
  },
  createdAt: "1700000000000000000",
  trigger: "oom",
  consistency: "exact",
  parent: "one",
  layers: [layer("one", 1024), layer("two", 2048)],
  report: {
    counts: { files: 2, directories: 1, devices: 0 },
    deviations: [{ kind: "skipped", path: "run/sock", reason: "a socket" }],
    deviationCount: 3,
  },
};

const listed: ListedBackup = {
  ref: {
    ...document,
    manifest: { mediaType: "m", digest: "sha256:m", size: 9 },
    size: 2048,
    blobs: [
      { digest: "sha256:one", size: 1024 },
      { digest: "sha256:two", size: 2048 },
    ],
  },
  isHead: true,
};

test("a backup of a store shows its chain, marks and end", () => {
  const view = storedBackupView(
    { ...listed, ref: { ...listed.ref, createdAt: `${Date.now() - 7_200_000}000000` } },
    "/store",
  );
  const [titles, row] = storedTable([{ ...view, pinned: "audit" }], plainStyle).split("\n");
  expect(titles?.split(/ {2,}/)).toEqual(
    "BACKUP TENANT WORKLOAD CONTAINER SIZE TOTAL AGE TRIGGER EXIT PARENT MARKS".split(" "),
  );
  expect(row?.split(/ {2,}/)).toEqual([
    "two",
    "team",
    "web-0",
    "web",
    "2.0 KiB",
    "3.0 KiB",
    "2h",
    "oom",
    "137 oom",
    "one",
    "HEAD,pinned",
  ]);
});

test("showing a backup draws what lies on what, and what was lost", () => {
  const shown = shownBackup(
    { ...storedBackupView(listed, "/store"), document: documentView(document) },
    plainStyle,
  );
  expect(shown).toContain(
    ["image example/web:1", "└─ one  1.0 KiB, 3 entries", "   └─ two  2.0 KiB, 3 entries"].join("\n"),
  );
  expect(shown).toContain("kept  2 files, 1 directories\n");
  expect(shown).toMatch(/skipped\s+run\/sock\s+a socket\n… and 2 more\n$/);
  expect(shown).toMatch(/chain\s+team\/web-0\/web\n/);
});

const entry = (path: string, type: TreeEntry["entry"]["type"], more: object = {}): TreeEntry => ({
  entry: {
    path: Buffer.from(path),
    type,
    mode: 0o755,
    uid: 1,
    gid: 2,
    mtime: 1_000_000_001n,
    size: 0,
    opaque: false,
    xattrs: [],
    ...more,
  },
  layer: 0,
  hidesImage: false,
});

test("files as ls -l and as a tree, names cannot steer the terminal", () => {
  const files = [
    entry(".", "directory"),
    entry("etc", "directory"),
    entry("etc/a\u001b[31m", "file", { size: 1536, mode: 0o4755 }),
    entry("etc/gone", "whiteout"),
    entry("etc/hard", "link", { target: Buffer.from("etc/a"), size: 1536 }),
    entry("etc/soft", "symlink", { target: Buffer.from("../x") }),
  ].map((each) => fileView(each, "one"));
  expect(
    fileTable(files, plainStyle)
      .split("\n")
      .map((line) => line.trimEnd()),
  ).toEqual([
    "MODE        OWNER     SIZE  MODIFIED              PATH",
    "drwxr-xr-x  1:2          -  1970-01-01T00:00:01Z  /",
    "drwxr-xr-x  1:2          -  1970-01-01T00:00:01Z  /etc",
    "-rwsr-xr-x  1:2    1.5 KiB  1970-01-01T00:00:01Z  /etc/a\\x1b[31m",
    "deleted     -            -  -                     /etc/gone",
    "-rwxr-xr-x  1:2    1.5 KiB  1970-01-01T00:00:01Z  /etc/hard = /etc/a",
    "lrwxr-xr-x  1:2          -  1970-01-01T00:00:01Z  /etc/soft -> ../x",
    "",
  ]);
  expect(fileTree(files, plainStyle)).toBe(
    [
      "/",
      "  etc/",
      "    a\\x1b[31m  1.5 KiB",
      "    gone  deleted",
      "    hard = /etc/a  1.5 KiB",
      "    soft -> ../x",
      "",
    ].join("\n"),
  );
  expect(files[2]).toMatchObject({ modifiedAt: "1970-01-01T00:00:01.000000001Z", mode: 0o4755 });
});

test("changes with sizes before and after", () => {
  const change: TreeChange = {
    path: Buffer.from("etc/motd"),
    kind: "changed",
    before: entry("etc/motd", "file", { size: 1 }),
    after: entry("etc/motd", "file", { size: 2048 }),
    differences: ["content", "time"],
  };
  expect(changeTable([changeView(change)], plainStyle)).toBe(
    [
      "CHANGE   BEFORE    AFTER  WHAT          PATH",
      "changed     1 B  2.0 KiB  content,time  /etc/motd",
      "",
    ].join("\n"),
  );
});

test("a store is verified only when nothing is wrong or missing", () => {
  const report = { backups: [{ backup: "one", faults: [] }], layers: 1, bytes: 10 };
  const nothing = { missing: [], damaged: [] };
  expect(verifyView("/store", report, nothing)).toMatchObject({ ok: true, faults: [] });
  expect(verifyTable(verifyView("/store", report, nothing), plainStyle)).toBe(
    "verified  1 backups, 1 layers, 10 B in /store\n",
  );
  const view = verifyView("/store", report, { ...nothing, missing: ["two"] });
  expect(view).toMatchObject({ ok: false, faults: [{ backup: "two", reason: "BACKUP_NOT_FOUND" }] });
  expect(verifyTable(view, plainStyle)).toContain("damaged  1 backups");
});

test("removing says what stays", () => {
  expect(removalText({ id: "one", removed: true, neededBy: ["two", "three"], freed: 0 })).toBe(
    "removed one; its layer stays, because 2 backups need it: two, three\n",
  );
  expect(removalText({ id: "one", removed: true, neededBy: [], freed: 2048 })).toBe(
    "removed one; 2.0 KiB are deleted after a grace\n",
  );
});
