import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { preferLittleMemory } from "./v8-settings.ts";

preferLittleMemory();
// Saves a fifth of the start. Beside the program, where only those can write who could replace it as well.
if (import.meta.filename.endsWith(".js")) enableCompileCache(join(import.meta.dirname, "compile-cache"));
const { main } = await import("./cli/main.ts");
await main();
