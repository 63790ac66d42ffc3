import { errors } from "./errors.ts";

/** The part, or `ADMIN_PART_NOT_RUNNING` that names it. */
export function running<Part>(part: Part | undefined, name: string): Part {
  if (part === undefined)
    throw errors.ADMIN_PART_NOT_RUNNING(`${name} is not running; see "aeonctl status" for why`, {
      details: { part: name },
    });
  return part;
}

/** Longest name that the admin API takes, in UTF-16 units; containerd's own limit for ids is 76 bytes. */
const maxNameLength = 4096;

/** A name from a request: not empty, not overlong, without NUL. Throws `ADMIN_FIELD_INVALID`. */
export function requireName(value: string, field: string): string {
  const fault = faultOf(value);
  if (fault !== undefined)
    throw errors.ADMIN_FIELD_INVALID(`field ${field} ${fault}`, { details: { field } });
  return value;
}

function faultOf(value: string): string | undefined {
  if (value === "") return "is empty";
  if (value.length > maxNameLength) return `is longer than ${maxNameLength} characters`;
  return value.includes("\0") ? "holds a NUL character" : undefined;
}
