import { errorMessage } from "@aeon/core";
import type { TestPattern } from "./condition.ts";

/** A pattern that string functions can test: neither needs the expression engine nor takes long to load. */
interface Literal {
  readonly text: string;
  readonly start: boolean;
  readonly end: boolean;
}

/** Why a text is no RE2 expression; undefined when it is one. */
export async function patternFault(pattern: string): Promise<string | undefined> {
  const { RE2JS } = await import("re2js");
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/**
 * Makes a test for these patterns. It takes time linear in the text, whatever pattern and text are: texts such as
 * annotations come from whoever may create pods.
 */
export async function patternTest(patterns: readonly string[]): Promise<TestPattern> {
  const tests = new Map<string, (text: string) => boolean>();
  for (const pattern of new Set(patterns))
    tests.set(pattern, literalTest(pattern) ?? (await re2Test(pattern)));
  return (pattern, text) => tests.get(pattern)?.(text) ?? false;
}

async function re2Test(pattern: string): Promise<(text: string) => boolean> {
  const { RE2JS } = await import("re2js");
  const compiled = RE2JS.compile(pattern);
  return (text) => compiled.matcher(text).find();
}

function literalTest(pattern: string): ((text: string) => boolean) | undefined {
  if (/^\^?(?:\.\*)?\$?$/.test(pattern) && pattern !== "^$") return () => true;
  const literal = literalOf(pattern);
  if (literal === undefined) return undefined;
  const { text, start, end } = literal;
  if (start && end) return (subject) => subject === text;
  if (start) return (subject) => subject.startsWith(text);
  if (end) return (subject) => subject.endsWith(text);
  return (subject) => subject.includes(text);
}

function literalOf(pattern: string): Literal | undefined {
  const parts = /^(\^?)((?:[^\\.+*?()|[\]{}^$]|\\[-./])*)(\$?)$/.exec(pattern);
  if (parts === null) return undefined;
  const [, start, body = "", end] = parts;
  return { text: body.replaceAll(/\\(.)/g, "$1"), start: start !== "", end: end !== "" };
}
