import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as koffiModule from "koffi";
import type { LibraryHandle } from "koffi";
import { LinuxError } from "./linux-error.ts";
import { showPath, type BytePath } from "./path.ts";

type Koffi = typeof koffiModule;

/** What libc's functions take here; addresses are always memory of ours, numbers are plain C integers. */
export type CValue = number | bigint | Buffer | null;

/** One libc function that answers -1 and errno on failure. `subject` is the object named in the error. */
export interface LibcFunction {
  /** Looks it up without calling it; throws when this process has no such function. */
  find(): void;
  /** Runs on the calling thread: only for calls that never wait for a device. */
  sync(subject: BytePath, ...values: CValue[]): number;
  /** Runs on a thread of libuv's pool. */
  async(subject: BytePath, ...values: CValue[]): Promise<number>;
}

interface Libc {
  readonly koffi: Koffi;
  readonly handle: LibraryHandle;
}

let loaded: Libc | undefined;

/** Loaded at the first call: it costs up to 9 MB and 10 ms, which a process that needs no such call should not pay. */
function libc(): Libc {
  if (loaded === undefined) {
    const koffi = loadKoffi();
    loaded = { koffi, handle: koffi.load(null) };
  }
  return loaded;
}

/** A bundle carries the addon beside itself; without koffi's wrapper it also needs 5 MB less. */
function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  const addon = join(import.meta.dirname, `koffi-${process.arch}.node`);
  const koffi: unknown = require(existsSync(addon) ? addon : "koffi");
  if (!isKoffi(koffi)) throw new TypeError("koffi exports something else than expected");
  return koffi;
}

function isKoffi(value: unknown): value is Koffi {
  return typeof value === "object" && value !== null && "load" in value && "errno" in value && "os" in value;
}

/**
 * Declares a libc function by its C prototype; it is looked up at its first call. Pointers are written `void *`,
 * since only buffers are passed. Variadic functions are declared with the parameters that are used.
 */
export function libcFunction(
  prototype: string,
  name = /(\w+)\(/.exec(prototype)?.[1] ?? prototype,
): LibcFunction {
  let found: ReturnType<LibraryHandle["func"]> | undefined;
  const lookUp = () => (found ??= libc().handle.func(prototype));
  return {
    find: () => void lookUp(),
    sync(subject, ...values) {
      const result = Number(lookUp()(...values));
      if (result === -1) throw lastError(name, subject);
      return result;
    },
    async(subject, ...values) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      lookUp().async(...values, (error: unknown, result: unknown) => {
        // Naming `values` here also keeps the buffers alive while the other thread uses them.
        if (error !== null && error !== undefined)
          reject(new TypeError(`${name}(${values.length} values)`, { cause: error }));
        else if (Number(result) === -1) reject(lastError(name, subject));
        else resolve(Number(result));
      });
      return promise;
    },
  };
}

/** Whether this process has the function. */
export function isThere(call: LibcFunction): boolean {
  try {
    call.find();
    return true;
  } catch {
    return false;
  }
}

/** koffi carries errno over from the thread that ran the call. */
function lastError(syscall: string, subject: BytePath): LinuxError {
  const { koffi } = libc();
  return new LinuxError(errnoName(koffi, koffi.errno()), syscall, showPath(subject));
}

/** Where one number has two names, the name that Node uses. */
const preferred = ["EAGAIN", "ENOTSUP", "EDEADLK"];
let names: Map<number, string> | undefined;

function errnoName(koffi: Koffi, errno: number): string {
  if (names === undefined) {
    const byName: Record<string, number> = koffi.os.errno;
    names = new Map(Object.entries(byName).map(([name, value]) => [value, name]));
    for (const name of preferred) if (byName[name] !== undefined) names.set(byName[name], name);
  }
  return names.get(errno) ?? `E${errno}`;
}
