// Writes the Helm chart from the manifests in deploy/kustomize, which are the only ones that people edit. With --check it
// fails where the chart differs from them.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const deploy = join(import.meta.dirname, "../deploy");
const chart = join(deploy, "helm/aeon");
const check = process.argv.includes("--check");
const note = "# Written by tools/chart.mjs from deploy/kustomize: change it there.\n";
let differs = false;

const resources = readManifests("../crds");
const base = readManifests("base").filter(({ name }) => name !== "namespace.yaml");
const monitoring = readManifests("monitoring");
const daemonSet = base.find(({ name }) => name === "daemon-set.yaml").text;
const config = base.find(({ name }) => name === "config.yaml").text;
/** Blocks of the DaemonSet that a value replaces, by their key. */
const blocks = ["nodeSelector", "tolerations", "resources"];

const files = new Map([
  ["values.yaml", note + values()],
  ...base.map(({ name, text }) => [`templates/${name}`, note + template(text)]),
  // Helm does not render these.
  ...resources.map(({ name, text }) => [`crds/${name}`, note + text]),
  ...monitoring.map(({ name, text }) => [
    `templates/monitoring-${name}`,
    `{{- if .Values.monitoring.enabled }}\n${note}${template(text)}{{- end }}\n`,
  ]),
]);

for (const folder of ["templates", "crds"]) {
  if (!check) rmSync(join(chart, folder), { recursive: true, force: true });
  mkdirSync(join(chart, folder), { recursive: true });
}
for (const [name, text] of files) emit(join(chart, name), text);
for (const name of readdirSync(join(chart, "templates")))
  if (!files.has(`templates/${name}`)) complain(`templates/${name} comes from no manifest`);
if (differs) process.exitCode = 1;

function emit(path, text) {
  if (!check) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text)
    complain(`${path} is not what it should be`);
}

function complain(message) {
  console.error(`${message}: run npm run generate and commit the result`);
  differs = true;
}

function readManifests(folder) {
  const path = join(deploy, "kustomize", folder);
  return readdirSync(path)
    .filter((name) => name !== "kustomization.yaml")
    .toSorted()
    .map((name) => ({ name, text: readFileSync(join(path, name), "utf8") }));
}

function values() {
  const image = /image: (\S+):(\S+)/.exec(daemonSet);
  const policy = /imagePullPolicy: (\S+)/.exec(daemonSet);
  return [
    `image:\n  repository: ${image[1]}\n  tag: ${image[2]}\n  pullPolicy: ${policy[1]}`,
    ...blocks.map((key) => `${key}:\n${shift(block(daemonSet, key).body, 2)}`),
    "# Needs the Prometheus operator's resources in the cluster.\nmonitoring:\n  enabled: false",
    `# The agent's configuration, as in /etc/aeon/config.toml.\nconfig: |\n${shift(block(config, "config.toml").body, 2)}`,
    "",
  ].join("\n");
}

function template(manifest) {
  let text = manifest.replaceAll(/\{\{|\}\}/g, (braces) => `{{ "${braces}" }}`);
  text = text.replaceAll("namespace: aeon-system", "namespace: {{ .Release.Namespace }}");
  text = text.replaceAll(
    /image: (\S+):(\S+)/g,
    "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}",
  );
  text = text.replaceAll(/imagePullPolicy: \S+/g, "imagePullPolicy: {{ .Values.image.pullPolicy }}");
  for (const key of [...blocks, "config.toml"]) {
    const found = block(text, key);
    const value = key === "config.toml" ? "config" : key;
    if (found) text = text.replace(found.whole, `${found.indent}${key}: {{ .Values.${value} | toJson }}\n`);
  }
  return text;
}

/** A key with the more deeply indented lines below it. */
function block(text, key) {
  const match = new RegExp(`^( *)${key.replace(".", "\\.")}:[ |]*\n((?:\\1 +.*\n|\n(?=\\1 +))+)`, "m").exec(
    text,
  );
  return match && { whole: match[0], indent: match[1], body: match[2] };
}

/** The same lines, the least indented one at `spaces`. */
function shift(lines, spaces) {
  const all = lines.trimEnd().split("\n");
  const least = Math.min(...all.filter(Boolean).map((line) => line.search(/\S/)));
  return all.map((line) => (line ? " ".repeat(spaces) + line.slice(least) : line)).join("\n");
}
