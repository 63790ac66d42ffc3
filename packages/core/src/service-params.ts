import * as v from "valibot";

/** A parameter that is a boolean or "true" or "false"; false when absent. */
export const flagParam = () =>
  v.optional(
    v.pipe(
      v.union([v.boolean(), v.picklist(["true", "false"])], "Expected true or false"),
      v.transform((value) => value === true || value === "true"),
    ),
    false,
  );

/** A parameter that is a name: not empty, at most 4096 characters, without NUL. */
export const nameParam = () =>
  v.pipe(
    v.string(),
    v.nonEmpty("Expected a name"),
    v.maxLength(4096),
    v.check((text) => !text.includes("\0"), "Expected no NUL"),
  );
