import { oneOf, text, refine, map } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { denied } from "../refusal.ts";

const options = new Set(
  "max-size max-file compress mode max-buffer-size labels labels-regex env env-regex tag".split(" "),
);

/** Only drivers that write below dockerd's own folder: others open sockets and files that dockerd sees. */
export const logConfig = refine(
  struct({
    Type: oneOf(["", "json-file", "local", "none"]),
    Config: map(text({ max: 4096 }), {
      key: (key, { at }) => {
        if (!options.has(key)) throw denied(`${at}[${key}]`, `use only ${[...options].join(", ")}`);
      },
    }),
  }),
  (value) => value,
);
