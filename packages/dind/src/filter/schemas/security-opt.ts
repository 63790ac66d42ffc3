import { denied } from "../refusal.ts";
import { list, show, text, then } from "../schema/schema.ts";

const accepted = /^(no-new-privileges([:=]true)?|seccomp=builtin)$/;

/** Only what takes rights away. */
export const securityOpt = list(
  then(text(), (value, { at }) => {
    if (!accepted.test(String(value)))
      throw denied(at, `${show(value)} is not allowed; use no-new-privileges or seccomp=builtin`);
    return String(value).replace("no-new-privileges:", "no-new-privileges=");
  }),
);
