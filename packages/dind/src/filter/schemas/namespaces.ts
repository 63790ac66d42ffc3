import { plainText } from "../json/json-value.ts";
import { denied } from "../refusal.ts";
import { show, text, refine, type Schema } from "../schema/schema.ts";

/** `container:` and the name or id of another container behind this filter. */
export const containerMode = /^container:[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Which namespace a container uses: its own, or another inner container's; never D's. */
export const namespaceMode = (words: readonly string[], other = true): Schema =>
  refine(text({ max: 300 }), (value, { at }) => {
    const mode = plainText(value);
    if (words.includes(mode) || (other && containerMode.test(mode))) return mode;
    const choices = [...words.filter((word) => word !== ""), ...(other ? ["container:<name>"] : [])];
    throw denied(at, `${show(mode)} is not allowed; use ${choices.join(" or ") || "nothing"}`);
  });
