export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`; IPv6 addresses in brackets. Undefined for anything else. */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  const [, ipv6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  const port = Number(digits);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

export const showHttpAddress = ({ host, port }: HttpAddress): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
