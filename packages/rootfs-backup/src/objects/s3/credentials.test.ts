import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@aeon/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { storeCredentials } from "./credentials.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-credentials-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const source = (path?: string, profile = "default", environment: NodeJS.ProcessEnv = {}) =>
  storeCredentials({ ...(path !== undefined && { path }), profile, environment, log: silentLogger });

test.each([
  ["aeon's own names", '{"access-key": "A", "secret-key": "S"}'],
  ["those of a credential process", '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S"}'],
  ["those of minio", '{"url": "x", "accessKey": "A", "secretKey": "S"}'],
])("JSON with %s", async (_, text) => {
  writeFileSync(at("c.json"), text);
  expect(await source(at("c.json")).current()).toEqual({ accessKey: "A", secretKey: "S" });
});

test("an AWS credentials file, by section", async () => {
  const text = `# comment
[default]
aws_access_key_id = A
aws_secret_access_key=S=/+
[profile other]
aws_access_key_id = B
aws_secret_access_key = T
aws_session_token = token
`;
  writeFileSync(at("credentials"), text);
  expect(await source(at("credentials")).current()).toEqual({ accessKey: "A", secretKey: "S=/+" });
  expect(await source(at("credentials"), "other").current()).toEqual({
    accessKey: "B",
    secretKey: "T",
    sessionToken: "token",
  });
  await expect(source(at("credentials"), "none").current()).rejects.toThrow("holds no access key id");
});

test("the environment", async () => {
  const environment = { AWS_ACCESS_KEY_ID: "A", AWS_SECRET_ACCESS_KEY: "S", AWS_SESSION_TOKEN: "T" };
  expect(await source(undefined, "default", environment).current()).toEqual({
    accessKey: "A",
    secretKey: "S",
    sessionToken: "T",
  });
  await expect(source().current()).rejects.toMatchObject({ reason: "STORE_CREDENTIALS_INVALID" });
});

/** A mounted Secret: the values are links through a link to a folder, which kubelet swaps. */
function mount(version: string, accessKey: string): void {
  mkdirSync(at(version));
  writeFileSync(at(`${version}/AWS_ACCESS_KEY_ID`), `${accessKey}\n`);
  writeFileSync(at(`${version}/AWS_SECRET_ACCESS_KEY`), "S\n");
  symlinkSync(version, at("..data"));
}

test("a mounted Secret, also after kubelet swapped it", async () => {
  mount("..1", "A");
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) symlinkSync(`..data/${name}`, at(name));
  const credentials = source(folder);
  expect(await credentials.current()).toEqual({ accessKey: "A", secretKey: "S" });
  unlinkSync(at("..data"));
  mount("..2", "B");
  expect(await credentials.current()).toEqual({ accessKey: "B", secretKey: "S" });
});

test("a changed file is read again; while it makes no sense the last values stay", async () => {
  const put = (text: string) => writeFileSync(at("c"), text);
  put('{"access-key": "A", "secret-key": "S"}');
  const credentials = source(at("c"));
  expect((await credentials.current()).accessKey).toBe("A");
  put('{"access-key": "B", "sec');
  expect((await credentials.current()).accessKey).toBe("A");
  put('{"access-key": "BB", "secret-key": "T"}');
  expect(await credentials.current()).toEqual({ accessKey: "BB", secretKey: "T" });
  rmSync(at("c"));
  expect((await credentials.current()).accessKey).toBe("BB");
});

test.each(["{", '{"secret-key": "very secret"', '{"secret-key": "very secret"}', "very secret", ""])(
  "the error about %j quotes nothing of the file",
  async (text) => {
    writeFileSync(at("c"), text);
    const error: unknown = await source(at("c"))
      .current()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: "STORE_CREDENTIALS_INVALID", code: "failed-precondition" });
    expect(JSON.stringify(error) + String(error)).not.toContain("very secret");
  },
);
