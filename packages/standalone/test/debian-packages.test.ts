import { execFile } from "node:child_process";
import { mkdtempDisposable, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { run } from "../src/index.ts";

const execute = promisify(execFile);
const temporary = () => mkdtempDisposable(join(tmpdir(), "aeon-packages-"));

/** Fetches in a process of its own, whose apt configuration is the one given. */
async function fetchIn(cache: string, packages: readonly string[], aptConfig?: string): Promise<string> {
  const module = join(import.meta.dirname, "../src/debian-packages.ts");
  const script = `import { fetchPackages } from ${JSON.stringify(module)};
    const progress = [];
    const options = { ...${JSON.stringify({ cache, packages })}, onProgress: (text) => progress.push(text) };
    const answer = await fetchPackages(options).catch(({ code, reason, message }) => ({ code, reason, message }));
    console.log(JSON.stringify({ answer, progress }));`;
  const { stdout } = await execute(
    process.execPath,
    ["--conditions=@aeon/source", "--input-type=module", "--eval", script],
    { env: { ...process.env, ...(aptConfig !== undefined && { APT_CONFIG: aptConfig }) } },
  );
  return stdout;
}

test("two processes that need the same packages download each once and both get working programs", async () => {
  await using cache = await temporary();
  const answers = (await Promise.all([1, 2].map(() => fetchIn(cache.path, ["busybox-static", "runc"])))).map(
    (text): { answer: { root: string }[]; progress: string[] } => JSON.parse(text),
  );
  expect(answers[0]?.answer).toEqual(answers[1]?.answer);
  const downloads = answers.flatMap(({ progress }) =>
    progress.filter((text) => text.startsWith("downloading")),
  );
  expect(downloads).toEqual([
    expect.stringMatching(/^downloading busybox-static \S+ \(\d+\.\d MB\)$/),
    expect.stringMatching(/^downloading runc \S+ \(\d+\.\d MB\)$/),
  ]);
  const { stdout } = await run(join(answers[0]?.answer[0]?.root ?? "", "bin/busybox"), ["echo", "works"]);
  expect(stdout).toBe("works\n");
  const again = JSON.parse(await fetchIn(cache.path, ["busybox-static", "runc"])) as { progress: string[] };
  expect(again.progress).toEqual([]);
});

test("a package that no suite has is named with the suite, and leaves no half of it", async () => {
  await using cache = await temporary();
  const { answer } = JSON.parse(await fetchIn(cache.path, ["aeon-has-no-such-package"]));
  expect(answer).toMatchObject({
    code: "unavailable",
    reason: "PACKAGE_UNAVAILABLE",
    message: expect.stringMatching(/package aeon-has-no-such-package of Debian \w+ cannot be fetched/),
  });
  const files = await readdir(cache.path, { recursive: true });
  expect(files.filter((file) => file.includes("aeon-has"))).toEqual([]);
});

test("without a package source it says which package and where a mirror has to be named", async () => {
  await using folder = await temporary();
  const config = join(folder.path, "apt.conf");
  await writeFile(config, 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n');
  const { answer } = JSON.parse(await fetchIn(join(folder.path, "cache"), ["runc"], config));
  expect(answer).toMatchObject({
    code: "failed-precondition",
    reason: "PACKAGE_SOURCE_MISSING",
    message: expect.stringMatching(/package runc .*sources\.list.* names no mirror of Debian/),
  });
});

test("with a mirror that does not answer it says which package, and what apt says", async () => {
  await using folder = await temporary();
  const [config, sources] = [join(folder.path, "apt.conf"), join(folder.path, "sources.list")];
  await writeFile(sources, "deb http://127.0.0.1:9/debian stable main\n");
  await writeFile(config, `Dir::Etc::SourceList "${sources}";\nDir::Etc::SourceParts "/dev/null";\n`);
  const { answer } = JSON.parse(await fetchIn(join(folder.path, "cache"), ["runc"], config));
  expect(answer).toMatchObject({
    code: "unavailable",
    reason: "PACKAGE_UNAVAILABLE",
    message: expect.stringMatching(/package runc .*127\.0\.0\.1/),
  });
});
