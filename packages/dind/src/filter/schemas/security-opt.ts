import { plainText } from "../json/json-value.ts";
import { denied } from "../refusal.ts";
import { list, show, text, refine } from "../schema/schema.ts";

const accepted = /^(no-new-privileges([:=]true)?|seccomp=builtin)$/;

/** Only what takes rights away. */
export const securityOpt = list(
  refine(text(), (value, { at }) => {
    if (!accepted.test(plainText(value)))
      throw denied(at, `${show(value)} is not allowed; use no-new-privileges or seccomp=builtin`);
    return plainText(value).replace("no-new-privileges:", "no-new-privileges=");
  }),
);
