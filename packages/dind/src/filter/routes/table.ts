import { Refusal } from "../refusal.ts";
import { containerRoutes } from "./containers.ts";
import { imageRoutes } from "./images.ts";
import { networkRoutes } from "./networks.ts";
import type { Route } from "./route.ts";
import { systemRoutes } from "./system.ts";
import { volumeRoutes } from "./volumes.ts";

export interface RouteMatch {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

/** All endpoints that the filter knows; the first that matches counts. */
export const routes: readonly Route[] = [
  ...systemRoutes,
  ...containerRoutes,
  ...imageRoutes,
  ...networkRoutes,
  ...volumeRoutes,
];

interface Compiled {
  readonly route: Route;
  readonly parts: readonly string[];
}

const byFirst = Map.groupBy(
  routes.map((route): Compiled => ({ route, parts: route.path.split("/") })),
  ({ parts }) => parts[0] ?? "",
);

const identifier = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;
/** Part of an image's name, with tag and digest. */
const imagePart = /^[a-zA-Z0-9_][a-zA-Z0-9_.:@+-]{0,254}$/;

/** Finds the endpoint. Throws what dockerd answers for unknown pages (404), and 403 for what it knows and the filter does not. */
export function matchRoute(method: string, segments: readonly string[]): RouteMatch {
  let known = false;
  for (const { route, parts } of byFirst.get(segments[0] ?? "") ?? []) {
    const parameters = matchParts(parts, segments);
    if (parameters === undefined) continue;
    known = true;
    if (route.methods.includes(method)) return { route, parameters };
  }
  const path = `/${segments.join("/")}`;
  throw new Refusal(
    known ? 405 : 403,
    known ? "method" : "unknown-endpoint",
    "",
    `${method} ${path.slice(0, 200)} is not available through this socket [aeon: ${known ? "method" : "unknown-endpoint"}]`,
  );
}

function matchParts(
  parts: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const parameters: Record<string, string> = {};
  const many = parts.findIndex((part) => part.endsWith("…}"));
  if (many < 0 ? parts.length !== segments.length : segments.length < parts.length) return undefined;
  const extra = segments.length - parts.length;
  for (const [index, part] of parts.entries()) {
    const at = many >= 0 && index > many ? index + extra : index;
    const segment = segments[at] ?? "";
    if (index === many) {
      const taken = segments.slice(at, at + extra + 1);
      if (!taken.every((name) => imagePart.test(name))) return undefined;
      parameters[part.slice(1, -2)] = taken.join("/");
    } else if (part.startsWith("{")) {
      if (!identifier.test(segment)) return undefined;
      parameters[part.slice(1, -1)] = segment;
    } else if (part !== segment) return undefined;
  }
  return parameters;
}

/** The path for dockerd, from checked values only. */
export function formatPath(route: Route, parameters: Readonly<Record<string, string>>): string {
  return route.path
    .split("/")
    .map((part) => {
      if (!part.startsWith("{")) return part;
      const name = part.replace(/[{}…]/g, "");
      return (parameters[name] ?? "")
        .split("/")
        .map((value) => encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%40", "@"))
        .join("/");
    })
    .join("/");
}
