export { DirectoryCursor, type CursorOptions } from "./directory-cursor.ts";
export { finish } from "./finish.ts";
export { LinkedFiles } from "./linked-files.ts";
export { measureTree, type Measured } from "./measure-tree.ts";
export { foreignMount, mountIdOf } from "./mount-id.ts";
export { removeTree } from "./remove-tree.ts";
