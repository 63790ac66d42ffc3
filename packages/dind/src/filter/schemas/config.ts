import type { Schema } from "../schema/schema.ts";
import { empty, flag, ignored, integer, list, map, text, words } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { denied } from "../refusal.ts";

export const labels: Schema = map(text(), {
  whenNull: "",
  key: (key, scope) => {
    if (key.toLowerCase().startsWith("aeon."))
      throw denied(`${scope.at}[${key}]`, "labels that begin with aeon. are reserved; choose another prefix");
  },
});

const healthcheck = struct({
  Test: list(text()),
  Interval: integer(),
  Timeout: integer(),
  StartPeriod: integer(),
  StartInterval: integer(),
  Retries: integer(),
});

/** `80/tcp`, also a range. */
export const portName = /^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/i;

/** What runs in a container: the part of `/containers/create` and `/commit` that stays inside it. */
export const configFields: Readonly<Record<string, Schema>> = {
  Hostname: text({ max: 255 }),
  Domainname: text({ max: 255 }),
  User: text(),
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: map(empty, { whenNull: new Map() }),
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: list(text()),
  Cmd: words,
  Healthcheck: healthcheck,
  ArgsEscaped: flag,
  Image: text({ max: 4096 }),
  Volumes: map(empty, { whenNull: new Map() }),
  WorkingDir: text(),
  Entrypoint: words,
  NetworkDisabled: flag,
  MacAddress: text({ max: 64 }),
  OnBuild: list(text()),
  Labels: labels,
  StopSignal: text({ max: 64 }),
  StopTimeout: integer(),
  Shell: list(text()),
};

/** Body of `POST /commit`. */
export const commitConfig = struct({ ...configFields, PublishService: ignored });
