import {
  chmodSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { linux } from "@aeon/core";
import fc from "fast-check";

type Bytes = Uint8Array<ArrayBuffer>;

/** Owner, permissions, time and attributes to give a file. */
interface Look {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly xattrs: readonly { readonly name: string; readonly value: Bytes }[];
}

type Body =
  | { readonly kind: "file"; readonly data: Bytes }
  | { readonly kind: "sparse"; readonly size: number; readonly at: readonly number[] }
  | { readonly kind: "symlink"; readonly target: Bytes }
  | {
      readonly kind: "device";
      readonly type: "character" | "block";
      readonly major: number;
      readonly minor: number;
    }
  | { readonly kind: "fifo" | "socket" | "whiteout" }
  | { readonly kind: "link"; readonly pick: number }
  | { readonly kind: "directory"; readonly opaque: boolean; readonly children: readonly Node[] };

/** A file of a random tree; names are given when it is made, so that siblings differ. */
export interface Node {
  readonly name: Bytes;
  readonly look: Look;
  readonly body: Body;
}

export interface TreeOptions {
  /** Overlay states (whiteouts, opaque directories, `.wh.` names), which only layers have. */
  readonly overlay: boolean;
}

const anyByte = fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f);
const bytes = (most: number) =>
  fc.array(anyByte, { minLength: 1, maxLength: most }).map((values) => Uint8Array.from(values));
const text = (...values: string[]) =>
  fc.constantFrom(...values.map((each) => new TextEncoder().encode(each)));

const plainName = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z]{1,8}$/).map((each) => new TextEncoder().encode(each)) },
  { weight: 2, arbitrary: bytes(20) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 90, max: 255 })
      .map((length) => new TextEncoder().encode("n".repeat(length))),
  },
  {
    weight: 1,
    arbitrary: text("ä", "名前", "with space", "new\nline", "-rf", "...", "a=b", "%3D", "\u007f"),
  },
);
const reservedName = text(
  ".wh.",
  ".wh.x",
  ".wh..wh..opq",
  ".wh..opq",
  ".aeon.wh.x",
  ".aeon.aeon.wh.",
  ".aeon",
  ".whx",
);

const xattrName = fc.constantFrom("user.a", "user.b", "user.overlay.opaque", "user.50%=x", "trusted.other");
const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
/** `u::rwx u:42:r-x g::r-- m::rwx o::r-x` as the kernel stores it (linux/posix_acl_xattr.h). */
const acl = Buffer.from(
  "02000000" +
    "01000700ffffffff" +
    "020005002a000000" +
    "04000400ffffffff" +
    "10000700ffffffff" +
    "20000500ffffffff",
  "hex",
);

const time = fc.oneof(
  fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
  fc.bigInt({ min: -2_000_000_000_000_000_000n, max: 0n }),
  fc.constantFrom(0n, 1n, -1n, 999_999_999n, -1_000_000_000n, 1_700_000_000_999_999_999n),
);
const id = fc.oneof(fc.constantFrom(0, 1, 65534, 2097151, 2097152, 4294967294), fc.nat({ max: 100_000 }));
const content = fc.uint8Array({ maxLength: 300 }).map((array) => Uint8Array.from(array));

const look: fc.Arbitrary<Look> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  mtime: time,
  xattrs: fc.uniqueArray(fc.record({ name: xattrName, value: content }), {
    maxLength: 3,
    selector: ({ name }) => name,
  }),
});

const sparse = (most: number) =>
  fc.record({
    kind: fc.constant("sparse" as const),
    size: fc.integer({ min: 1, max: most }),
    at: fc.array(fc.nat({ max: most }), { maxLength: 40 }),
  });

/** Reading holes takes long, so large ones are rare. */
const leaf: fc.Arbitrary<Body> = fc.oneof(
  { weight: 1, arbitrary: sparse(40_000_000) },
  { weight: 90, arbitrary: fc.record({ kind: fc.constant("file" as const), data: content }) },
  {
    weight: 15,
    arbitrary: fc.record({
      kind: fc.constant("file" as const),
      data: fc.constantFrom(511, 512, 513, 4096, 300_000).map((length) => new Uint8Array(length).fill(7)),
    }),
  },
  { weight: 30, arbitrary: sparse(300_000) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant("symlink" as const), target: bytes(200) }) },
  {
    weight: 15,
    arbitrary: fc.record({
      kind: fc.constant("device" as const),
      type: fc.constantFrom("character" as const, "block" as const),
      major: fc.integer({ min: 1, max: 4095 }),
      minor: fc.integer({ min: 0, max: 1_048_575 }),
    }),
  },
  { weight: 15, arbitrary: fc.record({ kind: fc.constantFrom("fifo" as const, "socket" as const) }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant("link" as const), pick: fc.nat() }) },
);

/** The children of a random tree's root. */
export function randomTree({ overlay }: TreeOptions): fc.Arbitrary<readonly Node[]> {
  const name = overlay
    ? fc.oneof({ weight: 8, arbitrary: plainName }, { weight: 1, arbitrary: reservedName })
    : plainName;
  const whiteout = fc.record({ kind: fc.constant("whiteout" as const) });
  const usable = name.filter((each) => ![".", ".."].includes(Buffer.from(each).toString("latin1")));
  return fc.letrec<{ children: readonly Node[]; body: Body }>((tie) => ({
    children: fc.uniqueArray(fc.record({ name: usable, look, body: tie("body") }), {
      maxLength: 7,
      selector: (node) => Buffer.from(node.name).toString("latin1"),
      depthIdentifier: "tree",
    }),
    body: fc.oneof(
      { depthIdentifier: "tree", maxDepth: 5, depthSize: "small" },
      {
        weight: 3,
        arbitrary: overlay
          ? fc.oneof({ weight: 5, arbitrary: leaf }, { weight: 1, arbitrary: whiteout })
          : leaf,
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant("directory" as const),
          opaque: overlay ? fc.boolean() : fc.constant(false),
          children: tie("children"),
        }),
      },
    ),
  })).children;
}

export interface MakeOptions {
  /** Hard links also to devices and FIFOs, which GNU tar archives as separate files. Default true. */
  readonly linkSpecial?: boolean;
}

/** Makes the tree inside an existing folder. */
export function makeTree(
  root: string,
  nodes: readonly Node[],
  { linkSpecial = true }: MakeOptions = {},
): void {
  const linkable: Buffer[] = [];
  const make = (folder: Buffer, node: Node): void => {
    const path = Buffer.concat([folder, Buffer.from("/"), Buffer.from(node.name)]);
    if (!makeBody(path, node.body, linkable, make)) return;
    dress(path, node);
    const { kind } = node.body;
    const special = kind === "device" || kind === "fifo";
    if (kind !== "directory" && kind !== "socket" && (linkSpecial || !special)) linkable.push(path);
  };
  for (const node of nodes) make(Buffer.from(root), node);
}

/** True when the file still needs its look. */
function makeBody(
  path: Buffer,
  body: Body,
  linkable: readonly Buffer[],
  make: (folder: Buffer, node: Node) => void,
): boolean {
  let isNew = true;
  switch (body.kind) {
    case "file":
    case "sparse":
      writeBody(path, body);
      break;
    case "symlink":
      symlinkSync(Buffer.from(body.target), path);
      break;
    case "device":
      linux.makeDeviceSync(path, body.type, body, 0o600);
      break;
    case "fifo":
      linux.makeFifoSync(path, 0o600);
      break;
    case "socket":
      linux.makeSocketFileSync(path, 0o600);
      break;
    case "whiteout":
      linux.makeDeviceSync(path, "character", { major: 0, minor: 0 }, 0);
      isNew = false;
      break;
    case "link": {
      const target = linkable[body.pick % Math.max(1, linkable.length)];
      if (target !== undefined) linkSync(target, path);
      isNew = false;
      break;
    }
    case "directory":
      mkdirSync(path);
      for (const child of body.children) make(path, child);
      if (body.opaque) linux.setXattrSync(path, "trusted.overlay.opaque", Buffer.from("y"));
      linux.setXattrSync(path, "trusted.overlay.impure", Buffer.from("y"));
      break;
  }
  return isNew;
}

function writeBody(path: Buffer, body: Extract<Body, { kind: "file" | "sparse" }>): void {
  const fd = openSync(path, "wx");
  if (body.kind === "file") writeSync(fd, body.data);
  else {
    ftruncateSync(fd, body.size);
    for (const at of body.at) if (at < body.size) writeSync(fd, Buffer.of(1 + (at % 255)), 0, 1, at);
  }
  closeSync(fd);
}

function dress(path: Buffer, { look: { mode, uid, gid, mtime, xattrs }, body }: Node): void {
  lchownSync(path, uid, gid);
  if (body.kind !== "symlink") chmodSync(path, mode);
  const userAllowed = body.kind === "file" || body.kind === "sparse" || body.kind === "directory";
  for (const { name, value } of xattrs)
    if (userAllowed || name.startsWith("trusted.")) linux.setXattrSync(path, name, Buffer.from(value));
  if (userAllowed && mode % 3 === 0) linux.setXattrSync(path, "system.posix_acl_access", acl);
  if (body.kind === "file" && mode % 5 === 0) linux.setXattrSync(path, "security.capability", capability);
  linux.setTimesSync(path, { accessed: 0n, modified: mtime });
}
