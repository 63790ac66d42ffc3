import { plainText } from "../json/json-value.ts";
import { denied } from "../refusal.ts";
import { map, show, text, refine } from "../schema/schema.ts";

const option =
  /^(ro|rw|exec|noexec|nosuid|nodev|noatime|(size|nr_inodes)=\d+[kKmMgG%]?|mode=[0-7]{1,4}|(uid|gid)=\d+)$/;

/** Refuses mount options of a tmpfs that would let devices in or mounts out. */
export function checkTmpfsOptions(options: string, at: string): void {
  for (const word of options.split(","))
    if (word !== "" && !option.test(word))
      throw denied(
        at,
        `the option ${show(word)} is not allowed; use size, mode, uid, gid, nr_inodes, ro, rw, exec, noexec`,
      );
}

/** `--tmpfs`. */
export const tmpfs = map(
  refine(text({ max: 1024 }), (value, { at }) => {
    checkTmpfsOptions(plainText(value), at);
    return value;
  }),
);
