import { expect, test } from "vitest";
import { defaultSpec } from "./default-spec.ts";
import { digestOf } from "./digest.ts";
import type { ImageConfig } from "./image.ts";

const image = (config: ImageConfig["config"]): ImageConfig => ({
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: [digestOf("layer")] },
  ...(config && { config }),
});
const base = { id: "c1", namespace: "default" } as const;

test("the image gives command, environment, user and folder", () => {
  const { process } = defaultSpec({
    ...base,
    image: image({
      Entrypoint: ["/run.sh"],
      Cmd: ["a"],
      Env: ["PATH=/bin", "A=1"],
      User: "7:8",
      WorkingDir: "/w",
    }),
  });
  expect(process).toMatchObject({
    args: ["/run.sh", "a"],
    env: ["PATH=/bin", "A=1"],
    user: { uid: 7, gid: 8 },
    cwd: "/w",
    noNewPrivileges: true,
  });
});

test.each([
  { given: { args: ["b"] }, command: ["/run.sh", "b"] },
  { given: { entrypoint: ["/other"] }, command: ["/other"] },
  { given: { entrypoint: ["/other"], args: ["b"] }, command: ["/other", "b"] },
])("$given makes the command $command", ({ given, command }) => {
  const spec = defaultSpec({ ...base, image: image({ Entrypoint: ["/run.sh"], Cmd: ["a"] }), ...given });
  expect(spec.process?.args).toEqual(command);
});

test("environment given by the caller wins and no name appears twice", () => {
  const spec = defaultSpec({ ...base, args: ["sh"], image: image({ Env: ["A=1", "B=2"] }), env: ["A=3"] });
  expect(spec.process?.env?.filter((entry) => entry.startsWith("A="))).toEqual(["A=3"]);
  expect(spec.process?.env).toContain("B=2");
});

test("a container without any command is refused", () => {
  expect(() => defaultSpec({ ...base, image: image({}) })).toThrow(
    expect.objectContaining({ reason: "IMAGE_WITHOUT_COMMAND" }),
  );
});

test("a user by name needs numbers from the caller", () => {
  const named = image({ User: "nobody", Cmd: ["sh"] });
  expect(() => defaultSpec({ ...base, image: named })).toThrow(
    expect.objectContaining({ reason: "USER_UNRESOLVED" }),
  );
  expect(defaultSpec({ ...base, image: named, user: { uid: 65534, gid: 65534 } }).process?.user.uid).toBe(
    65534,
  );
});

test("a mount replaces the default one at the same place", () => {
  const own = { destination: "/run", type: "bind", source: "/x", options: ["rbind"] };
  const { mounts = [] } = defaultSpec({ ...base, args: ["sh"], mounts: [own] });
  expect(mounts.filter(({ destination }) => destination === "/run")).toEqual([own]);
  expect(mounts.map(({ destination }) => destination)).toContain("/proc");
});

test("devices are denied first, whatever is allowed after", () => {
  const extra = { allow: true, type: "c", major: 10, minor: 200, access: "rwm" } as const;
  const { linux } = defaultSpec({
    ...base,
    args: ["sh"],
    resources: { devices: [extra], pids: { limit: 9 } },
  });
  expect(linux?.resources?.devices?.[0]).toEqual({ allow: false, access: "rwm" });
  expect(linux?.resources?.devices?.at(-1)).toEqual(extra);
  expect(linux?.resources?.pids).toEqual({ limit: 9 });
  expect(linux?.cgroupsPath).toBe("/default/c1");
});

const types = (hostNetwork: boolean) =>
  defaultSpec({ ...base, args: ["sh"], hostNetwork }).linux?.namespaces?.map(({ type }) => type);

test("the host's network is shared only when asked for", () => {
  expect(types(false)).toContain("network");
  expect(types(true)).not.toContain("network");
});
