import { plainText } from "../json/json-value.ts";
import { isIP } from "node:net";
import { denied, malformed } from "../refusal.ts";
import { list, map, text, refine, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { portName } from "./config.ts";

/** Published ports; `reserved` are the pod's own. */
export const portBindings = (reserved: ReadonlySet<number>): Schema => {
  const hostPort = refine(text({ max: 11, pattern: /^(\d{1,5}(-\d{1,5})?)?$/ }), (value, { at }) => {
    const [first = 0, last = first] = plainText(value).split("-").map(Number);
    for (const port of reserved)
      if (port >= first && port <= last && first > 0)
        throw denied(at, `port ${port} belongs to the pod; publish another one`, "port-reserved");
    return value;
  });
  const hostIp = refine(text({ max: 45 }), (value, { at }) => {
    const address = plainText(value).replace(/^\[(.*)\]$/, "$1");
    if (address !== "" && isIP(address) === 0) throw malformed(at, "has to be an IP address");
    return value;
  });
  return map(list(struct({ HostIp: hostIp, HostPort: hostPort })), {
    whenNull: [],
    key: (key, { at }) => {
      if (!portName.test(key)) throw malformed(`${at}[${key}]`, "has to be a port such as 80/tcp");
    },
  });
};
