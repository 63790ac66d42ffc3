import * as v from "valibot";
import { stages, type Stage } from "./stage.ts";

const noNul = (text: string): boolean => !text.includes("\0");
const text = v.pipe(v.string("must be a text"), v.check(noNul, "must not hold a NUL character"));
const texts = v.array(text, "must be a list of texts");
const absolute = v.pipe(text, v.startsWith("/", "must be an absolute path"));
const variable = v.pipe(text, v.regex(/^[^=]+=/, "must be NAME=value"));
const patterns = v.pipe(
  v.union(
    [
      v.pipe(
        text,
        v.transform((one) => [one]),
      ),
      texts,
    ],
    "must be an expression or a list of them",
  ),
  v.minLength(1, "must not be empty"),
);

const isPlainObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** valibot takes a list for an object, which would make a condition that holds always of `"when": []`. */
const object = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(v.unknown(), v.check(isPlainObject, "must be an object"), v.strictObject(entries));
const record = (message: string) =>
  v.pipe(v.unknown(), v.check(isPlainObject, message), v.record(text, text));

/** Longest time a hook may take, a day: more is a unit error. */
const longestTimeout = 86_400;

const timeout = v.pipe(
  v.number("must be a whole number of seconds"),
  v.integer("must be a whole number of seconds"),
  v.minValue(1, "must be at least 1 second"),
  v.maxValue(longestTimeout, "must be at most 86400 seconds"),
);

const hookSchema = object({
  path: absolute,
  args: v.optional(texts),
  env: v.optional(v.array(variable, "must be a list of NAME=value")),
  timeout: v.optional(timeout),
});

const perStage = <Schema extends v.GenericSchema>(schema: Schema) => {
  const entries = stages.map((stage) => [stage, v.optional(schema)] as const);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the keys it was given
  return Object.fromEntries(entries) as Record<Stage, v.OptionalSchema<Schema, undefined>>;
};

/** `hooks.json` as container-hooks-toolkit has it: a bare hooks object. */
export const stagesSchema = object(perStage(v.array(hookSchema, "must be a list of hooks")));

const pairs = record("must be an object of expressions for key and value");

const conditions = {
  always: v.optional(v.boolean("must be true or false")),
  namespaces: v.optional(patterns),
  pods: v.optional(patterns),
  containers: v.optional(patterns),
  images: v.optional(patterns),
  commands: v.optional(patterns),
  runtimeHandlers: v.optional(patterns),
  annotations: v.optional(pairs),
  labels: v.optional(pairs),
  hasBindMounts: v.optional(v.boolean("must be true or false")),
  role: v.optional(v.picklist(["container", "sandbox"], 'must be "container" or "sandbox"')),
};

/** Conditions in aeon's own format: all that are set have to hold, and `not` must not. */
export interface When extends v.InferOutput<typeof plainWhen> {
  readonly not?: When | undefined;
}
const plainWhen = object(conditions);
const whenSchema: v.GenericSchema<unknown, When> = object({
  ...conditions,
  not: v.optional(v.lazy(() => whenSchema)),
});

const mountSchema = object({
  destination: absolute,
  type: v.optional(text),
  source: v.optional(text),
  options: v.optional(texts),
});

const ruleSchema = object({
  name: v.pipe(
    text,
    v.regex(/^[\w.-]{1,100}$/, "must be 1 to 100 letters, digits, dots, dashes or underscores"),
  ),
  when: v.optional(whenSchema),
  order: v.optional(v.pipe(v.number("must be a whole number"), v.safeInteger("must be a whole number")), 0),
  position: v.optional(v.picklist(["first", "last"], 'must be "first" or "last"'), "last"),
  onFailure: v.optional(v.picklist(["fail", "ignore"], 'must be "fail" or "ignore"'), "fail"),
  record: v.optional(v.boolean("must be true or false")),
  timeout: v.optional(timeout),
  hooks: v.optional(stagesSchema, {}),
  env: v.optional(v.array(variable, "must be a list of NAME=value"), []),
  mounts: v.optional(v.array(mountSchema, "must be a list of mounts"), []),
  annotations: v.optional(record("must be an object of texts"), {}),
});

/** aeon's own format. */
export const rulesSchema = object({
  version: v.literal(1, "must be 1"),
  rules: v.array(ruleSchema, "must be a list of rules"),
});

export type RuleInput = v.InferOutput<typeof ruleSchema>;

const oneOrMore = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.union(
    [
      v.array(schema),
      v.pipe(
        schema,
        v.transform((one) => [one]),
      ),
    ],
    "must be a text or a list of texts",
  );

/** A file of `hooks.d`, version 1.0.0. */
export const hooksDSchema = object({
  version: v.literal("1.0.0", 'must be "1.0.0"'),
  hook: hookSchema,
  when: object({
    always: v.optional(v.boolean("must be true or false")),
    annotations: v.optional(pairs),
    commands: v.optional(texts),
    hasBindMounts: v.optional(v.boolean("must be true or false")),
  }),
  stages: v.pipe(
    v.array(v.picklist(stages, ({ received }) => `${received} is not a stage (${stages.join(", ")})`)),
    v.minLength(1, "must name a stage"),
  ),
});

/** A file of `hooks.d` from before it had versions. */
export const oldHooksDSchema = object({
  version: v.optional(v.literal("0.1.0")),
  hook: absolute,
  arguments: v.optional(texts),
  stages: v.optional(oneOrMore(v.picklist(stages))),
  stage: v.optional(oneOrMore(v.picklist(stages))),
  cmds: v.optional(oneOrMore(text)),
  cmd: v.optional(oneOrMore(text)),
  annotations: v.optional(oneOrMore(text)),
  annotation: v.optional(oneOrMore(text)),
  hasbindmounts: v.optional(v.boolean("must be true or false")),
});
