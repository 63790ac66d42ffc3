import { isDeepStrictEqual } from "node:util";
import type { Node } from "jsonc-parser";
import { errors } from "../errors.ts";
import type { Injection, StageHooks } from "../rules/injection.ts";
import { isMarker } from "../rules/marker.ts";
import type { Hook } from "../rules/rule.ts";
import { stages } from "../rules/stage.ts";
import { member, stringMap, stringOf, toSpecText, valueOf, type SpecText } from "./spec-text.ts";

interface Edit {
  readonly offset: number;
  /** Characters to replace. */
  readonly length: number;
  readonly text: string;
}

/**
 * Puts an injection into a config.json. Every byte that it does not have to change stays; what is there already is
 * not added again, so that doing it twice changes nothing the second time. Undefined when nothing changes.
 */
export function spliceSpec(spec: SpecText, injection: Injection): Buffer | undefined {
  if (isMarked(spec)) return undefined;
  const edits = [
    ...hookEdits(spec, injection.hooks),
    ...envEdits(spec, injection.env),
    ...listEdits(spec, spec.root, "mounts", injection.mounts),
    ...annotationEdits(spec, injection.annotations),
  ];
  return edits.length === 0 ? undefined : apply(spec.text, edits);
}

/** The toolkit's marker says that somebody has put the hooks in place already. */
function isMarked(spec: SpecText): boolean {
  const prestart = member(member(spec.root, "hooks"), "prestart");
  return (prestart?.children ?? []).some((hook) =>
    isMarker({ path: stringOf(spec, member(hook, "path")) ?? "" }),
  );
}

function apply(text: string, edits: readonly Edit[]): Buffer {
  let done = "";
  let at = 0;
  // Insertions at one place keep their order.
  for (const { offset, length, text: added } of edits.toSorted((a, b) => a.offset - b.offset)) {
    done += text.slice(at, offset) + added;
    at = offset + length;
  }
  return Buffer.from(done + text.slice(at), "latin1");
}

function hookEdits(spec: SpecText, wanted: Injection["hooks"]): readonly Edit[] {
  const hooks = member(spec.root, "hooks");
  const missing = stages.flatMap((stage) => {
    const { first = [], last = [] } = wanted[stage] ?? {};
    return first.length + last.length === 0 ? [] : [[stage, [...first, ...last]] as const];
  });
  if (missing.length === 0) return [];
  if (hooks === undefined) return [addMember(spec.root, "hooks", Object.fromEntries(missing))];
  if (hooks.type === "null") return [replace(hooks, Object.fromEntries(missing))];
  if (hooks.type !== "object") throw unusable("hooks", "object");
  const absent: Edit[] = [];
  const edits = missing.flatMap(([stage, added]) => {
    const present = member(hooks, stage);
    if (present === undefined) absent.push(addMember(hooks, stage, added));
    else if (present.type === "null") return [replace(present, added)];
    else if (present.type === "array") return stageEdits(spec, present, wanted[stage]);
    else throw unusable(`hooks.${stage}`, "list");
    return [];
  });
  return [...joinMembers(hooks, absent), ...edits];
}

function stageEdits(
  spec: SpecText,
  list: Node,
  { first, last }: StageHooks = { first: [], last: [] },
): readonly Edit[] {
  const present = (list.children ?? []).map((node) => comparable(valueOf(spec, node)));
  const isNew = (hook: Hook): boolean => !present.some((other) => isDeepStrictEqual(other, comparable(hook)));
  return insertItems(list, first.filter(isNew), last.filter(isNew));
}

/** Absent and empty members mean the same in a hook. */
function comparable(hook: unknown): unknown {
  if (typeof hook !== "object" || hook === null) return hook;
  return Object.fromEntries(
    Object.entries(hook).filter(
      ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

function envEdits(spec: SpecText, env: readonly string[]): readonly Edit[] {
  const process = member(spec.root, "process");
  if (env.length === 0 || process === undefined) return [];
  const wanted = new Map(env.map((variable) => [nameOf(variable), variable]));
  const list = member(process, "env");
  if (list === undefined) return [addMember(process, "env", [...wanted.values()])];
  if (list.type === "null") return [replace(list, [...wanted.values()])];
  if (list.type !== "array") throw unusable("process.env", "list");
  const edits: Edit[] = [];
  for (const node of list.children ?? []) {
    const variable = stringOf(spec, node) ?? "";
    const other = wanted.get(nameOf(variable));
    if (other === undefined) continue;
    wanted.delete(nameOf(variable));
    if (other !== variable) edits.push(replace(node, other));
  }
  return [...edits, ...insertItems(list, [], [...wanted.values()])];
}

const nameOf = (variable: string): string => variable.slice(0, variable.indexOf("="));

function listEdits(spec: SpecText, object: Node, name: string, wanted: readonly unknown[]): readonly Edit[] {
  const list = member(object, name);
  if (wanted.length === 0) return [];
  if (list === undefined) return [addMember(object, name, wanted)];
  if (list.type === "null") return [replace(list, wanted)];
  if (list.type !== "array") throw unusable(name, "list");
  const present = (list.children ?? []).map((node) => comparable(valueOf(spec, node)));
  const added = wanted.filter((item) => !present.some((other) => isDeepStrictEqual(other, comparable(item))));
  return insertItems(list, [], added);
}

function annotationEdits(spec: SpecText, wanted: Injection["annotations"]): readonly Edit[] {
  const entries = Object.entries(wanted);
  if (entries.length === 0) return [];
  const object = member(spec.root, "annotations");
  if (object === undefined) return [addMember(spec.root, "annotations", wanted)];
  if (object.type === "null") return [replace(object, wanted)];
  if (object.type !== "object") throw unusable("annotations", "object");
  const present = stringMap(spec, object);
  const changed = (object.children ?? []).flatMap(({ children: [key, value] = [] }) => {
    const name = stringOf(spec, key);
    const text = name !== undefined && Object.hasOwn(wanted, name) ? wanted[name] : undefined;
    return value === undefined || text === undefined || stringOf(spec, value) === text
      ? []
      : [replace(value, text)];
  });
  const added = entries.filter(([name]) => !Object.hasOwn(present, name));
  return [
    ...joinMembers(
      object,
      added.map(([name, text]) => addMember(object, name, text)),
    ),
    ...changed,
  ];
}

const write = (values: readonly unknown[]): string => values.map(toSpecText).join(",");

const replace = ({ offset, length }: Node, value: unknown): Edit => ({
  offset,
  length,
  text: toSpecText(value),
});

/** A new first member, so that nothing after it moves in meaning. */
const addMember = (object: Node, name: string, value: unknown): Edit => ({
  offset: object.offset + 1,
  length: 0,
  text: `${toSpecText(name)}:${toSpecText(value)}${(object.children ?? []).length > 0 ? "," : ""}`,
});

/** Several new members of an object that was empty need commas between them. */
function joinMembers(object: Node, members: readonly Edit[]): readonly Edit[] {
  if ((object.children ?? []).length > 0 || members.length < 2) return members;
  return [{ offset: object.offset + 1, length: 0, text: members.map(({ text }) => text).join(",") }];
}

function insertItems(list: Node, first: readonly unknown[], last: readonly unknown[]): readonly Edit[] {
  const items = list.children ?? [];
  const final = items.at(-1);
  if (final === undefined) {
    const text = write([...first, ...last]);
    return text === "" ? [] : [{ offset: list.offset + 1, length: 0, text }];
  }
  return [
    ...(first.length > 0 ? [{ offset: list.offset + 1, length: 0, text: `${write(first)},` }] : []),
    ...(last.length > 0 ? [{ offset: final.offset + final.length, length: 0, text: `,${write(last)}` }] : []),
  ];
}

const unusable = (path: string, kind: string): Error =>
  errors.SPEC_UNUSABLE(`config.json: ${path} is no ${kind}`, { details: { member: path } });
