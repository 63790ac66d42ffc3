import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";

const isSource = (file) => !file.includes("/gen/") && !file.endsWith(".test.ts");

/** Every source file of the packages, parsed; tests and generated code left out. */
async function* parsedSources(root) {
  for (const file of globSync("packages/*/src/**/*.ts", { cwd: root }).filter(isSource).toSorted())
    yield {
      file,
      tree: ts.createSourceFile(file, await readFile(join(root, file), "utf8"), ts.ScriptTarget.Latest, true),
    };
}

function* nodesOf(node) {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}

/**
 * Every `new AeonError(code, reason, …)`: its place and the reasons it can have. A template gives the constant text
 * before its first value; anything else that is not a constant gives undefined.
 */
export async function findReasons(root) {
  const found = [];
  for await (const { file, tree } of parsedSources(root))
    for (const node of nodesOf(tree)) {
      if (!ts.isNewExpression(node) || node.expression.getText() !== "AeonError") continue;
      const line = tree.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      for (const reason of constantsOf(node.arguments?.[1])) found.push({ file, line, reason });
    }
  return found;
}

function constantsOf(expression) {
  if (expression === undefined) return [undefined];
  if (ts.isStringLiteralLike(expression)) return [expression.text];
  if (ts.isTemplateExpression(expression)) return [expression.head.text];
  if (ts.isConditionalExpression(expression))
    return [...constantsOf(expression.whenTrue), ...constantsOf(expression.whenFalse)];
  return [undefined];
}

/** Names that sources read as a property: `errors.REASON`, and `errors["REASON"]`. */
export async function findUses(root) {
  const used = new Set();
  for await (const { tree } of parsedSources(root))
    for (const node of nodesOf(tree)) {
      if (ts.isPropertyAccessExpression(node)) used.add(node.name.text);
      else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
        used.add(node.argumentExpression.text);
      else if (ts.isNewExpression(node) && node.expression.getText() === "AeonError")
        constantsOf(node.arguments?.[1]).forEach((reason) => used.add(reason));
    }
  return used;
}
