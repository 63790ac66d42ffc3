import type { admin } from "@aeon/proto";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  deleteBackup,
  getBackup,
  getBackupStore,
  listBackups,
  listRestores,
  requestRestore,
  watchBackup,
} from "./backups.ts";
import { createBackup, drainBackups } from "./captures.ts";
import { listContainers } from "./containers.ts";
import type { AdminDeps } from "./deps.ts";
import { explainHooks, listHookRules, listHookRuns } from "./hooks.ts";
import { listSnapshots, listSnapshotUsage } from "./snapshots.ts";
import { readStatus } from "./status.ts";

/** What a call brings besides its request. */
export interface AdminCall {
  /** Aborted when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
}

type Methods = (typeof admin.AdminService)["method"];

type Implementation<Method extends { input: DescMessage; output: DescMessage; methodKind: string }> = (
  request: MessageShape<Method["input"]>,
  call: AdminCall,
) => Method["methodKind"] extends "server_streaming"
  ? AsyncIterable<MessageInitShape<Method["output"]>>
  : Promise<MessageInitShape<Method["output"]>>;

/** `aeon.v1.AdminService` as plain functions; they throw AeonErrors. */
export type AdminServiceFunctions = { readonly [Name in keyof Methods]: Implementation<Methods[Name]> };

/** Implements the admin API on the parts of a running agent; knows no transport. */
export const adminService = (deps: AdminDeps): AdminServiceFunctions => ({
  getStatus: (_request, { signal }) => readStatus(deps, signal),
  listSnapshots: (request, { signal }) => listSnapshots(deps, request, signal),
  listSnapshotUsage: (request, { signal }) => listSnapshotUsage(deps, request, signal),
  listContainers: async (request) => listContainers(deps, request),
  listBackups: (request, { signal }) => listBackups(deps, request, signal),
  getBackup: (request, { signal }) => getBackup(deps, request, signal),
  watchBackup: (request, { signal }) => watchBackup(deps, request, signal),
  getBackupStore: (_request, { signal }) => getBackupStore(deps, signal),
  deleteBackup: (request, { signal }) => deleteBackup(deps, request, signal),
  createBackup: (request, { signal }) => createBackup(deps, request, signal),
  drainBackups: (request, { signal }) => drainBackups(deps, request, signal),
  requestRestore: (request, { signal }) => requestRestore(deps, request, signal),
  listRestores: (request, { signal }) => listRestores(deps, request, signal),
  listHookRules: () => listHookRules(deps),
  explainHooks: (request) => explainHooks(deps, request),
  listHookRuns: (request) => listHookRuns(deps, request),
});
