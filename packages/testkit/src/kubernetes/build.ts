import { access, cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackages, fetchPackageTree, fetchSource, run, withFileLock } from "@aeon/standalone";
import { Compiler, kubernetesVersion } from "./compiler.ts";

/** The only suite whose sources compile with a kubelet that this kernel's cgroups and containerd 1.7 still serve. */
const suite = "bookworm";

export interface BuildOptions {
  readonly cache: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Gives the folder of the Kubernetes programs, compiled once per machine from Debian's source package with Debian's Go
 * (about 12 minutes on two cores, 2.5 GB while it runs). An interrupted build goes on where it was; what is in the
 * folder is whole.
 */
export async function buildKubernetes(options: BuildOptions): Promise<string> {
  const parent = join(options.cache, "kubernetes", process.arch);
  const folder = join(parent, kubernetesVersion);
  if (await exists(folder)) return folder;
  await withFileLock(
    join(parent, ".lock"),
    async () => {
      // Another process may have built them while this one waited.
      if (!(await exists(folder))) await build(parent, folder, options);
    },
    options.signal,
  );
  return folder;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function build(parent: string, folder: string, options: BuildOptions): Promise<void> {
  const { onProgress = () => {}, signal } = options;
  onProgress(`Kubernetes ${kubernetesVersion} is built from source: about 12 minutes on two cores, once`);
  const work = join(parent, ".build");
  const tree = join(work, "go/src/k8s.io/kubernetes");
  const golang = await fetchPackageTree({
    cache: options.cache,
    suite,
    name: "golang-go",
    onProgress,
    ...(signal && { signal }),
  });
  if (!(await exists(tree))) await unpackSource(work, tree, options);
  const root = join(golang.root, "usr/lib/go-1.19");
  const compiler = new Compiler(root, work, tree, signal);
  await generateOpenApi(compiler, tree, work, onProgress);
  const output = join(work, "out");
  await rm(output, { recursive: true, force: true });
  await mkdir(output);
  await compiler.buildAll(output, onProgress);
  await rename(output, folder);
  await rm(work, { recursive: true, force: true });
}

async function unpackSource(work: string, tree: string, options: BuildOptions): Promise<void> {
  const { onProgress = () => {}, signal } = options;
  await using source = await fetchSource({
    name: "kubernetes",
    suite,
    onProgress,
    ...(signal && { signal }),
  });
  const archive = source.files.find((file) => /\.orig\.tar\.\w+$/.test(file));
  if (archive === undefined) throw new Error(`the source package ${source.version} has no upstream tar`);
  onProgress(`unpacking ${source.version}`);
  const partial = `${tree}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await run("tar", ["-xf", archive, "-C", partial, "--strip-components=1"], { ...(signal && { signal }) });
  await mendReflect(partial, options);
  await rename(partial, tree);
}

/** The release's own copy of this library breaks the memory of programs that Go 1.18 and later compile. */
async function mendReflect(tree: string, { cache, signal }: BuildOptions): Promise<void> {
  const [library] = await fetchPackages({
    cache,
    suite,
    packages: ["golang-github-modern-go-reflect2-dev"],
    ...(signal && { signal }),
  });
  const path = "github.com/modern-go/reflect2";
  const vendored = join(tree, "vendor", path);
  await rm(vendored, { recursive: true });
  await cp(join(library?.root ?? "", "usr/share/gocode/src", path), vendored, { recursive: true });
}

const machinery = ["meta/v1", "../runtime", "../version"].map(
  (path) => join("vendor/k8s.io/apimachinery/pkg/apis", path) + "/",
);

/** The API's description is the only generated source that the release does not carry; server-side apply needs it. */
async function generateOpenApi(
  compiler: Compiler,
  tree: string,
  work: string,
  onProgress: (message: string) => void,
): Promise<void> {
  onProgress("generating the description of the API");
  const generator = join(work, "openapi-gen");
  await compiler.go(["build", "-o", generator, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"]);
  const staging = (await readdir(join(tree, "staging/src/k8s.io")))
    .filter((name) => name !== "code-generator" && !name.startsWith("sample-"))
    .map((name) => `vendor/k8s.io/${name}/`);
  const outputs = {
    "staging/src/k8s.io/apiextensions-apiserver/pkg/generated/openapi": [
      ...machinery,
      "vendor/k8s.io/apiextensions-apiserver/",
      "vendor/k8s.io/api/autoscaling/v1/",
    ],
    "pkg/generated/openapi": ["cmd", "pkg", "plugin", ...staging],
  };
  for (const [output, folders] of Object.entries(outputs)) {
    if (await exists(join(tree, output, "zz_generated.openapi.go"))) continue;
    const { stdout } = await run("grep", ["-rl", "--include=*.go", "+k8s:openapi-gen=", ...folders], {
      cwd: tree,
    });
    const packages = new Set(
      stdout
        .trim()
        .split("\n")
        .map((file) => join("k8s.io/kubernetes", file, "..")),
    );
    // Written beside and renamed: half a file would be taken for a whole one after an interruption.
    const report = await mkdtemp(join(work, "report-"));
    await compiler.run(generator, [
      "--logtostderr",
      `--input-dirs=${[...packages].toSorted().join(",")}`,
      `--output-package=${join("k8s.io/kubernetes", output)}`,
      "--output-file-base=zz_generated.partial",
      "--go-header-file=vendor/k8s.io/code-generator/hack/boilerplate.go.txt",
      `--report-filename=${join(report, "report")}`,
    ]);
    await rename(
      join(tree, output, "zz_generated.partial.go"),
      join(tree, output, "zz_generated.openapi.go"),
    );
  }
}
