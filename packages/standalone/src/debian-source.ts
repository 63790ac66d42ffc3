import { machineSuite, openApt } from "./apt.ts";
import { withNames } from "./debian-packages.ts";

/** A Debian source package as it was downloaded; its folder goes on disposal. */
export interface SourcePackage extends AsyncDisposable {
  readonly version: string;
  /** Paths of the files it consists of: the upstream tar, Debian's own one and the signed description. */
  readonly files: readonly string[];
}

export interface SourceOptions {
  readonly name: string;
  /** Debian code name; the machine's own suite when absent. */
  readonly suite?: string;
  readonly signal?: AbortSignal;
  /** Told in a short sentence what is being waited for. */
  readonly onProgress?: (message: string) => void;
}

/**
 * Downloads a Debian source package from the machine's mirror with apt's signature checks; the machine's own apt
 * configuration need not name sources. Throws `PACKAGE_SOURCE_MISSING` or `PACKAGE_UNAVAILABLE`.
 */
export async function fetchSource(options: SourceOptions): Promise<SourcePackage> {
  const { name, signal, onProgress } = options;
  const suite = options.suite ?? (await machineSuite());
  onProgress?.(`reading the source list of Debian ${suite}`);
  const apt = await openApt(suite, signal).catch((error: unknown) => {
    throw withNames(error, suite, [name]);
  });
  try {
    onProgress?.(`downloading the source of ${name}`);
    const { version, files } = await apt.downloadSource(name);
    return { version, files, [Symbol.asyncDispose]: () => apt[Symbol.asyncDispose]() };
  } catch (error) {
    await apt[Symbol.asyncDispose]();
    signal?.throwIfAborted();
    throw withNames(error, suite, [name]);
  }
}
