// Fails when packages/proto/src/gen is not what its .proto files generate.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const source = join(root, "packages/proto");
const scratch = mkdtempSync(join(tmpdir(), "aeon-generated-"));

try {
  for (const entry of ["buf.yaml", "buf.gen.yaml", "proto"])
    cpSync(join(source, entry), join(scratch, entry), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
  const bin = join(root, "node_modules/.bin");
  execFileSync(join(bin, "buf"), ["generate"], {
    cwd: scratch,
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    stdio: "inherit",
  });
  execFileSync("diff", ["-r", join(source, "src/gen"), join(scratch, "src/gen")], { stdio: "inherit" });
} catch {
  console.error(
    "packages/proto/src/gen differs from its .proto files: run npm run generate and commit the result",
  );
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
