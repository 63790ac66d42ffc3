import { readFile } from "node:fs/promises";

/** Network devices that a process sees. */
export async function linksOf(pid: number): Promise<readonly string[]> {
  const table = await readFile(`/proc/${pid}/net/dev`, "utf8");
  return table
    .split("\n")
    .slice(2)
    .flatMap((line) => (line.includes(":") ? [line.slice(0, line.indexOf(":")).trim()] : []));
}

/** IPv4 forwarding of a process's network, as its settings file has it: `1` or `0`. */
export async function forwardingOf(pid: number): Promise<string> {
  const rows = (await readFile(`/proc/${pid}/net/snmp`, "utf8")).split("\n");
  const [names = [], values = []] = rows
    .filter((row) => row.startsWith("Ip: "))
    .map((row) => row.slice("Ip: ".length).split(" "));
  return values[names.indexOf("Forwarding")] === "1" ? "1" : "0";
}
