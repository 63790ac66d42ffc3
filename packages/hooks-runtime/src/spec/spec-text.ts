import { parseTree, type Node, type ParseError } from "jsonc-parser";
import { errors } from "../errors.ts";

/**
 * A config.json with the place of each of its parts. The text has one character per byte, so that bytes which are
 * no UTF-8 and numbers beyond JavaScript's survive what is done to it.
 */
export interface SpecText {
  readonly text: string;
  readonly root: Node;
}

/** Undefined when the bytes are no JSON object with members: the runtime itself then says best what is wrong. */
export function readSpec(bytes: Buffer): SpecText | undefined {
  const text = bytes.toString("latin1");
  const faults: ParseError[] = [];
  const root = parseTree(text, faults, { disallowComments: true });
  const isSpec = root?.type === "object" && (root.children ?? []).length > 0 && faults.length === 0;
  return isSpec ? { text, root } : undefined;
}

/** A text as {@link SpecText} holds it. */
export const toSpecText = (value: unknown): string =>
  Buffer.from(JSON.stringify(value), "utf8").toString("latin1");

/** The value of an object's member, found as runtimes written in Go find it: whatever its case. */
export function member(object: Node | undefined, name: string): Node | undefined {
  if (object?.type !== "object") return undefined;
  const found = (object.children ?? []).filter(
    (property) => keyOf(property)?.toLowerCase() === name.toLowerCase(),
  );
  if (found.length > 1)
    throw errors.SPEC_UNUSABLE(`config.json has ${name} twice`, { details: { member: name } });
  return found[0]?.children?.[1];
}

const keyOf = (property: Node): string | undefined => {
  const key: unknown = property.children?.[0]?.value;
  return typeof key === "string" ? key : undefined;
};

/** The value of a part as JavaScript has it. */
export const valueOf = ({ text }: SpecText, { offset, length }: Node): unknown =>
  JSON.parse(Buffer.from(text.slice(offset, offset + length), "latin1").toString("utf8"));

/** The text of a part that is one. */
export function stringOf(spec: SpecText, node: Node | undefined): string | undefined {
  if (node?.type !== "string") return undefined;
  const value = valueOf(spec, node);
  return typeof value === "string" ? value : undefined;
}

/** Members of an object whose values are texts; keys keep their case. */
export function stringMap(spec: SpecText, object: Node | undefined): Readonly<Record<string, string>> {
  if (object?.type !== "object") return {};
  const entries = (object.children ?? []).flatMap(({ children: [key, value] = [] }) => {
    const [name, text] = [stringOf(spec, key), stringOf(spec, value)];
    return name === undefined || text === undefined ? [] : [[name, text] as const];
  });
  return Object.fromEntries(entries);
}
