import { writeSync } from "node:fs";
import { openDatabase } from "../src/index.ts";

/** Writes numbered rows through 8 concurrent writers until it is killed, and prints each number once it is acknowledged. */
const path = process.argv[2] ?? "";
const database = openDatabase({
  path,
  migrations: ["CREATE TABLE t (id INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT"],
});
let next = Number(
  database.read((sql) => sql.prepare("SELECT coalesce(max(id), 0) AS id FROM t").get()?.["id"] ?? 0),
);

async function writer(): Promise<never> {
  for (;;) {
    const id = (next += 1);
    await database.write((sql) => {
      sql.prepare("INSERT INTO t VALUES (?, ?)").run(id, "x".repeat(id % 3000));
      sql.prepare("DELETE FROM t WHERE id = ?").run(id - 5000);
    });
    writeSync(1, `${id}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, writer));
