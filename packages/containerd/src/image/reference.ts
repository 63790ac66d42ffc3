/** The full form of a Docker image name: registry, `library/` and tag added where they are implied. */
export function fullImageName(name: string): string {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === "localhost";
  const path = hasRegistry ? name : slash < 0 ? `docker.io/library/${name}` : `docker.io/${name}`;
  return /(?::[\w][\w.-]*|@[^/]+)$/.test(path.slice(path.lastIndexOf("/") + 1)) ? path : `${path}:latest`;
}
