import {
  findNodeAtLocation,
  parseTree,
  printParseErrorCode,
  visit,
  type Node,
  type ParseError,
} from "jsonc-parser";

/** Something wrong at a place of a file. */
export interface Fault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly message: string;
}

/** A parsed JSON text that can tell where a value stands. */
export interface JsonDocument {
  readonly file: string;
  readonly value: unknown;
  /** The fault at the value or key with this path, or at the closest value around it. */
  fault(path: readonly (string | number)[], message: string): Fault;
}

/** `file:line:column: message`, as compilers print it. */
export const showFault = ({ file, line, column, message }: Fault): string =>
  `${file}:${line}:${column}: ${message}`;

/** Parses strict JSON: no comments, no byte order mark, no key twice. Answers its faults when it is not. */
export function parseJson(file: string, text: string): JsonDocument | readonly Fault[] {
  const faultAt = (offset: number, message: string): Fault => ({ file, ...placeOf(text, offset), message });
  if (text.startsWith("\uFEFF"))
    return [faultAt(0, "the file starts with a byte order mark, which JSON has not")];
  if (text.trim() === "") return [faultAt(0, "the file is empty; an object such as {} is wanted")];
  const parseErrors: ParseError[] = [];
  const root = parseTree(text, parseErrors, { disallowComments: true });
  const faults = [
    ...parseErrors
      .slice(0, 1)
      .map(({ error, offset }) => faultAt(offset, sentences[printParseErrorCode(error)] ?? "is not JSON")),
    ...repeatedKeys(text).map(({ offset, key }) =>
      faultAt(offset, `key ${JSON.stringify(key)} stands here twice`),
    ),
  ];
  if (faults.length > 0 || root === undefined) return faults;
  return {
    file,
    value: JSON.parse(text),
    fault: (path, message) => faultAt(offsetOf(root, path), message),
  };
}

const sentences: Readonly<Record<string, string>> = {
  InvalidSymbol: "is not JSON: unknown word",
  InvalidNumberFormat: "is not JSON: malformed number",
  PropertyNameExpected: "is not JSON: a key in quotes is wanted here (is there a comma too many?)",
  ValueExpected: "is not JSON: a value is wanted here (is there a comma too many?)",
  ColonExpected: "is not JSON: a colon is wanted here",
  CommaExpected: "is not JSON: a comma is wanted here",
  CloseBraceExpected: "is not JSON: } is wanted here",
  CloseBracketExpected: "is not JSON: ] is wanted here",
  EndOfFileExpected: "something follows the end of the JSON value",
  InvalidCommentToken: "JSON has no comments",
  UnexpectedEndOfString: "is not JSON: the text in quotes does not end",
  InvalidUnicode: "is not JSON: malformed \\u escape",
  InvalidEscapeCharacter: "is not JSON: unknown escape in a text",
  InvalidCharacter: "is not JSON: a text holds a control character",
};

function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - (before.lastIndexOf("\n") + 1) + 1 };
}

/** A key is a better place than its value; what is missing is shown at what it is missing from. */
function offsetOf(root: Node, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node === undefined) continue;
    return node.parent?.type === "property" && length === path.length ? node.parent.offset : node.offset;
  }
  return root.offset;
}

function repeatedKeys(text: string): readonly { offset: number; key: string }[] {
  const repeated: { offset: number; key: string }[] = [];
  const open: Set<string>[] = [];
  visit(text, {
    onObjectBegin: () => void open.push(new Set()),
    onObjectEnd: () => void open.pop(),
    onObjectProperty(key, offset) {
      const keys = open.at(-1);
      if (keys?.has(key)) repeated.push({ offset, key });
      keys?.add(key);
    },
  });
  return repeated;
}
