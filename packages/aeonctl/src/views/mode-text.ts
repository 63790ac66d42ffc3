const letters: Readonly<Record<string, string>> = {
  directory: "d",
  symlink: "l",
  character: "c",
  block: "b",
  fifo: "p",
};

/** Type and permissions as `ls -l` writes them; a deleted name is `deleted`. */
export function modeText(type: string, mode: number | null): string {
  if (mode === null) return type;
  const special = [0o4000, 0o2000, 0o1000].map((bit) => (mode & bit) !== 0);
  const groups = [6, 3, 0].map((shift, index) => {
    const bits = (mode >> shift) & 7;
    const runs = (bits & 1) !== 0;
    const [on, off] = index === 2 ? ["t", "T"] : ["s", "S"];
    const last = special[index] === true ? (runs ? on : off) : runs ? "x" : "-";
    return `${(bits & 4) === 0 ? "-" : "r"}${(bits & 2) === 0 ? "-" : "w"}${last}`;
  });
  return `${letters[type] ?? "-"}${groups.join("")}`;
}
