import { plainText } from "../json/json-value.ts";
import { denied } from "../refusal.ts";
import { list, show, text, refine, type Schema } from "../schema/schema.ts";

/** What Docker gives every container anyway. */
const byDefault = new Set(
  (
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID " +
    "SYS_CHROOT"
  ).split(" "),
);

const canonical = (name: string): string => name.toUpperCase().replace(/^CAP_/, "");

/** Capabilities to add: only those that a container has without asking. */
export const capAdd: Schema = list(
  refine(text({ max: 64 }), (value, { at }) => {
    const name = canonical(plainText(value));
    if (!byDefault.has(name))
      throw denied(
        at,
        `the capability ${show(value)} is not given to containers; use --cap-add with ${[...byDefault].join(", ")}`,
      );
    return `CAP_${name}`;
  }),
);

/** Capabilities to take away: any. */
export const capDrop: Schema = list(
  refine(text({ max: 64, pattern: /^[a-zA-Z_]+$/ }), (value) => {
    const name = canonical(plainText(value));
    return name === "ALL" ? name : `CAP_${name}`;
  }),
);
