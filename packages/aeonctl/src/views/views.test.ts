import { admin } from "@aeon/proto";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { plainStyle } from "../format/style.ts";
import { backupDetails, backupTable, backupView } from "./backup.ts";
import { containerTable, containerView } from "./container.ts";
import { restoreTable, restoreView } from "./restore.ts";
import { snapshotTable, snapshotView, usageTable, usageView } from "./snapshot.ts";
import { statusTable, statusView } from "./status.ts";

const at = { seconds: 1_767_323_045n, nanos: 5_000_000 };

test("a backup that is stored", () => {
  const view = backupView(
    create(admin.BackupSchema, {
      id: "20260102T030405Z-web",
      state: admin.BackupState.STORED,
      namespace: "k8s.io",
      containerId: "web",
      snapshotKey: "k8s.io/12/web",
      image: "example/web:1",
      pod: { namespace: "shop", name: "web-0", uid: "u-1", container: "web" },
      createdAt: at,
      storedAt: { seconds: at.seconds + 2n, nanos: 1 },
      size: 1_572_864n,
      digest: "sha256:abc",
      location: "/var/lib/aeon/store/x",
      attempts: 2,
      exit: { code: 1, at },
      parent: "20260101T000000Z-web",
      trigger: admin.BackupTrigger.OOM,
      consistency: admin.BackupConsistency.EXACT,
      outOfMemory: true,
      labels: { team: "a" },
    }),
  );
  expect(view).toEqual({
    id: "20260102T030405Z-web",
    state: "stored",
    failure: null,
    nextAttemptAt: null,
    progress: null,
    attempts: 2,
    namespace: "k8s.io",
    containerId: "web",
    image: "example/web:1",
    pod: { namespace: "shop", name: "web-0", uid: "u-1", container: "web" },
    snapshotKey: "k8s.io/12/web",
    exit: { code: 1, at: "2026-01-02T03:04:05.005Z" },
    outOfMemory: true,
    trigger: "oom",
    consistency: "exact",
    tenant: null,
    workload: null,
    container: null,
    parent: "20260101T000000Z-web",
    size: 1_572_864,
    totalSize: null,
    digest: "sha256:abc",
    location: "/var/lib/aeon/store/x",
    labels: { team: "a" },
    createdAt: "2026-01-02T03:04:05.005Z",
    storedAt: "2026-01-02T03:04:07.000000001Z",
    node: null,
    seq: null,
    head: null,
    pinned: null,
  });
  expect(backupTable([view], plainStyle)).toBe(
    [
      "BACKUP                STATE   NAMESPACE  CONTAINER     SIZE  CREATED               TRIGGER   EXIT  MARKS  IMAGE          FAILURE",
      "20260102T030405Z-web  stored  k8s.io     web        1.5 MiB  2026-01-02T03:04:05Z  oom      1 oom  -      example/web:1  -",
      "",
    ].join("\n"),
  );
  const details = backupDetails(view, plainStyle);
  expect(details).toContain("size           1.5 MiB (1572864 bytes)\n");
  expect(details).toContain("pod            shop/web-0/web\n");
  expect(details).toContain("label          team=a\n");
});

test("a backup that waits has no size, and says why it failed", () => {
  const view = backupView(
    create(admin.BackupSchema, { id: "b", state: admin.BackupState.FAILED, failure: "disk full" }),
  );
  expect(view).toMatchObject({
    state: "failed",
    failure: "disk full",
    size: null,
    storedAt: null,
    pod: null,
  });
});

test("a container", () => {
  const view = containerView(
    create(admin.ContainerSchema, {
      namespace: "default",
      snapshotKey: "default/3/web",
      containerId: "web",
      state: admin.ContainerState.BACKING_UP,
      exit: { code: 137, at },
      outOfMemory: true,
      createdAt: at,
      updatedAt: at,
    }),
  );
  expect(view).toEqual({
    namespace: "default",
    id: "web",
    state: "backing-up",
    failure: null,
    image: null,
    pod: null,
    sandbox: false,
    snapshotKey: "default/3/web",
    upperdir: null,
    exit: { code: 137, at: "2026-01-02T03:04:05.005Z" },
    outOfMemory: true,
    labels: {},
    createdAt: "2026-01-02T03:04:05.005Z",
    updatedAt: "2026-01-02T03:04:05.005Z",
  });
  expect(containerTable([view], plainStyle)).toMatch(
    /default {4}web {8}backing-up {2}137 \(OOM\) {2}2026-01-02T03:04:05Z/,
  );
});

test("snapshots and their usage", () => {
  const snapshot = snapshotView(
    create(admin.SnapshotSchema, {
      name: "default/1/sha256:aa",
      kind: admin.SnapshotKind.COMMITTED,
      createdAt: at,
      updatedAt: at,
    }),
  );
  expect(snapshot).toEqual({
    name: "default/1/sha256:aa",
    parent: null,
    kind: "committed",
    createdAt: "2026-01-02T03:04:05.005Z",
    updatedAt: "2026-01-02T03:04:05.005Z",
    labels: {},
  });
  expect(snapshotTable([snapshot], plainStyle)).toContain(
    "default/1/sha256:aa  committed  2026-01-02T03:04:05Z  -",
  );
  const usages = [
    usageView(create(admin.SnapshotUsageSchema, { name: "small", size: 4096n, inodes: 2n })),
    usageView(create(admin.SnapshotUsageSchema, { name: "large", size: 3_000_000n, inodes: 30n })),
  ];
  expect(usages[1]).toEqual({ name: "large", size: 3_000_000, inodes: 30 });
  expect(usageTable(usages, plainStyle)).toBe(
    [
      "   SIZE  INODES  NAME",
      "2.9 MiB      30  large",
      "4.0 KiB       2  small",
      "2.9 MiB      32  total",
      "",
    ].join("\n"),
  );
});

test("a restore", () => {
  const view = restoreView(
    create(admin.RestoreSchema, {
      backupId: "b",
      namespace: "default",
      containerId: "web",
      state: admin.RestoreState.PENDING,
      requestedAt: at,
    }),
  );
  expect(view).toEqual({
    backup: "b",
    namespace: "default",
    containerId: "web",
    state: "pending",
    failure: null,
    requestedAt: "2026-01-02T03:04:05.005Z",
    finishedAt: null,
  });
  expect(restoreTable([view], plainStyle)).toContain(
    "b       default    web        pending  2026-01-02T03:04:05Z  -",
  );
});

test("a status with a failed plugin and parts that do not run", () => {
  const view = statusView(
    create(admin.GetStatusResponseSchema, {
      version: "0.1.0",
      pid: 42,
      startedAt: at,
      root: "/var/lib/aeon",
      state: "/run/aeon",
      plugins: [
        { name: "snapshotter", state: admin.PluginState.READY, checks: [{ name: "socket", ok: true }] },
        { name: "backup", state: admin.PluginState.FAILED, failure: "store is read-only", restarts: 3 },
      ],
      containerd: { address: "/run/containerd/containerd.sock", failure: "no such socket" },
      counts: { views: 0n, active: 2n, committed: 5n, containers: 2n },
      sockets: [{ name: "snapshotter", address: "/run/aeon/snapshotter.sock" }],
    }),
    new Date("2026-01-02T06:24:05.000Z"),
  );
  expect(view).toMatchObject({
    ready: false,
    uptimeSeconds: 11_999,
    counts: { snapshots: { view: 0, active: 2, committed: 5 }, containers: 2, backups: null },
    containerd: { connected: false, version: null, failure: "no such socket" },
  });
  expect(statusTable(view, plainStyle)).toBe(
    [
      "aeon                0.1.0, not ready",
      "process             42, up 3h 19m since 2026-01-02T03:04:05Z",
      "containerd          /run/containerd/containerd.sock, not connected: no such socket",
      "snapshots           5 committed, 2 active, 0 views",
      "containers          2",
      "backups             unknown",
      "restores            unknown",
      "root                /var/lib/aeon",
      "state               /run/aeon",
      "socket snapshotter  /run/aeon/snapshotter.sock",
      "",
      "PLUGIN       STATE   RESTARTS  HEALTH",
      "snapshotter  ready          0  ok",
      "backup       failed         3  store is read-only",
      "",
    ].join("\n"),
  );
});
