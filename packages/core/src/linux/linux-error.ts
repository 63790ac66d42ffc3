import { getSystemErrorMap } from "node:util";

const descriptions = new Map([...getSystemErrorMap().values()].map(([name, text]) => [name, text]));

/** A failed Linux call, in the shape of Node's own system errors: `code` is the errno name, such as `ENOENT`. */
export class LinuxError extends Error {
  override readonly name = "LinuxError";
  readonly code: string;
  readonly syscall: string;
  /** The path or descriptor the call was about. */
  readonly path: string;

  constructor(code: string, syscall: string, path: string) {
    const description = descriptions.get(code);
    super(`${code}:${description === undefined ? "" : ` ${description},`} ${syscall} '${path}'`);
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}
