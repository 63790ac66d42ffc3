import { seeded } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call } from "./support/call.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";

const seed = Number(process.env["AEON_SEED"] ?? Date.now() % 1_000_000);
/** Requests to each engine; `npm run soak -- dind` sends more. */
const requests = Number(process.env["AEON_DIND_REQUESTS"] ?? 100);

interface Random {
  pick<T>(values: readonly T[]): T;
  chance(part: number): boolean;
}

function randomOf(start: number): Random {
  const next = seeded(start);
  return {
    pick: (values) => values[Math.floor(next() * values.length)] as (typeof values)[number],
    chance: (part) => next() < part,
  };
}

/** Harmless and harmful values of fields, as JSON text. */
const host: Readonly<Record<string, readonly string[]>> = {
  Privileged: ["true", "false", "null", "0"],
  Memory: ["6291456", "8388608", "6291456.0", "1e7", "null", "9007199254740993"],
  PidMode: ['"host"', '""', "null", '"Host"'],
  IpcMode: ['"host"', '"private"', '"none"'],
  NetworkMode: ['"none"', '"default"', '"bridge"'],
  CapAdd: ['["SYS_ADMIN"]', '["chown"]', "[]", "null", '["ALL"]'],
  ReadonlyRootfs: ["true", "false", "null"],
  PidsLimit: ["10", "-1", "null"],
  OomScoreAdj: ["5", "0", "-5"],
  Ulimits: ['[{"Name":"core","Soft":1,"Hard":2}]', '[{"name":"core","HARD":9223372036854775807,"Soft":0}]'],
  SecurityOpt: ['["seccomp=unconfined"]', '["no-new-privileges"]', "[]"],
  Binds: ['["/etc:/x"]', '["/proc:/x"]', '["vol:/x"]', "[]"],
  Tmpfs: ['{"/t":"size=1m"}', '{"/t":"dev"}'],
  Devices: ['[{"PathOnHost":"/dev/null","PathInContainer":"/dev/x","CgroupPermissions":"r"}]', "[]"],
};
const top: Readonly<Record<string, readonly string[]>> = {
  Hostname: ['"one"', '"two"', "null"],
  Env: ['["A=1"]', '["B=2","C=3"]', "null"],
  Labels: ['{"a":"1","A":"2"}', '{"\u017f":"x"}', "{}"],
  Tty: ["true", "false"],
  Privileged: ["true"],
  Binds: ['["/etc:/x"]'],
  CapAdd: ['["SYS_ADMIN"]'],
};

function spell(name: string, random: Random): string {
  let key = name;
  if (random.chance(0.1)) key = random.pick([key.toLowerCase(), key.toUpperCase()]);
  if (random.chance(0.04)) key = key.replace(/s/i, "\u017f");
  if (random.chance(0.04)) key = key.replace(/k/i, "\u212a");
  if (random.chance(0.05)) key = `${key} `;
  const text = JSON.stringify(key);
  return random.chance(0.1)
    ? text.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
    : text;
}

function fields(table: Readonly<Record<string, readonly string[]>>, count: number, random: Random): string[] {
  return Array.from({ length: count }, () => {
    const name = random.pick(Object.keys(table));
    return `${spell(name, random)}:${random.pick(table[name] ?? ["null"])}`;
  });
}

function bodyOf(random: Random): string {
  const parts = ['"Image":"busybox"', ...fields(top, random.pick([0, 0, 1, 2]), random)];
  for (let copies = random.pick([0, 1, 1, 1, 1, 2]); copies > 0; copies -= 1) {
    const inner = random.chance(0.05)
      ? "null"
      : `{${fields(host, random.pick([0, 1, 2, 3]), random).join(",")}}`;
    parts.push(`${spell("HostConfig", random)}:${inner}`);
  }
  const space = random.pick(["", " ", "\n\t"]);
  const text = `{${space}${parts.join(`,${space}`)}}`;
  return random.chance(0.05) ? text + random.pick(["}", "]", " {}", "\0", " "]) : text;
}

interface Made {
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly { readonly Type: string; readonly Source: string }[];
}

/** What must never come of a request that the filter let through. */
const harmful = ({ HostConfig, Mounts }: Made): boolean =>
  HostConfig["Privileged"] === true ||
  HostConfig["PidMode"] === "host" ||
  HostConfig["IpcMode"] === "host" ||
  /SYS_ADMIN|ALL/.test(JSON.stringify(HostConfig["CapAdd"])) ||
  JSON.stringify(HostConfig["SecurityOpt"]).includes("unconfined") ||
  Mounts.some(({ Type, Source }) => Type === "bind" && !Source.startsWith("/run/aeon/pins/"));

/** What both have to agree on when both accept: fields that the filter neither rewrites nor fills in. */
const meaning = ({ Config, HostConfig }: Made) => ({
  memory: HostConfig["Memory"],
  readOnly: HostConfig["ReadonlyRootfs"],
  ulimits: HostConfig["Ulimits"] ?? [],
  oom: HostConfig["OomScoreAdj"],
  pids: HostConfig["PidsLimit"] ?? 0,
  tmpfs: HostConfig["Tmpfs"] ?? {},
  labels: Config["Labels"] ?? {},
  tty: Config["Tty"],
  env: Config["Env"],
});

describe.each(["26", "28"] as const)("engine %s", (line) => {
  let pod: FilteredDocker;
  beforeAll(async () => {
    pod = await launchFilteredDocker({ line });
  });
  afterAll(async () => {
    await pod[Symbol.asyncDispose]();
  });

  const make = async (socket: string, body: string): Promise<Made | undefined> => {
    const headers = { "content-type": "application/json" };
    const answer = await call(socket, "POST", "/v1.44/containers/create", body, headers).catch(
      () => undefined,
    );
    const id = answer?.status === 201 ? (answer.json as { Id: string }).Id : undefined;
    if (id === undefined) return undefined;
    const made = (await pod.raw("GET", `/v1.44/containers/${id}/json`)).json as Made;
    await pod.raw("DELETE", `/containers/${id}?v=1&force=1`);
    return made;
  };

  test(
    `${requests} random requests mean the same to the filter and to dockerd (seed ${seed})`,
    async () => {
      const random = randomOf(seed);
      let both = 0;
      let escapes = 0;
      for (let round = 0; round < requests; round += 1) {
        const body = bodyOf(random);
        const filtered = await make(pod.socket, body);
        const raw = await make(pod.dockerd.socket, body);
        if (raw !== undefined && harmful(raw)) escapes += 1;
        if (filtered === undefined) continue;
        both += 1;
        expect({ body, harmful: harmful(filtered) }).toEqual({ body, harmful: false });
        // What dockerd refuses may be fine once it is written properly; what it accepts has to mean the same.
        expect({ body, ...meaning(raw ?? filtered) }).toEqual({ body, ...meaning(filtered) });
      }
      expect(both).toBeGreaterThan(requests / 10);
      expect(escapes).toBeGreaterThan(requests / 20);
    },
    1200 * requests,
  );
});
