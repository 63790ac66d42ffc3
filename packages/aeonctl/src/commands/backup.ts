import type { Command } from "commander";
import type { CliStreams } from "../cli.ts";
import { addBackupCreate } from "./backup-create.ts";
import { addCat } from "./backup/cat.ts";
import { addDiff } from "./backup/diff.ts";
import { addExport } from "./backup/export.ts";
import { addFiles } from "./backup/files.ts";
import { addGc } from "./backup/gc.ts";
import { addLs } from "./backup/ls.ts";
import { addPin } from "./backup/pin.ts";
import { addRetention } from "./backup/retention.ts";
import { addRm } from "./backup/rm.ts";
import { addShow } from "./backup/show.ts";
import { addVerify } from "./backup/verify.ts";
import { addWait } from "./backup/wait.ts";

/** `aeonctl backup …`; `backups` is another name for it. */
export function addBackup(program: Command, streams: CliStreams): void {
  const backup = program
    .command("backup")
    .alias("backups")
    .description("look at and steer backups of containers' writable layers");
  addBackupCreate(backup, streams);
  addLs(backup, streams);
  addShow(backup, streams);
  addWait(backup, streams);
  addFiles(backup, streams);
  addCat(backup, streams);
  addDiff(backup, streams);
  addVerify(backup, streams);
  addExport(backup, streams);
  addPin(backup, streams);
  addRm(backup, streams);
  addRetention(backup, streams);
  addGc(backup, streams);
}
