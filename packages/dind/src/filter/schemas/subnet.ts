import { BlockList, isIP } from "node:net";

export interface Subnet {
  readonly address: string;
  readonly bits: number;
  readonly family: 4 | 6;
}

/** Reads CIDR notation; throws a RangeError for anything else. */
export function parseSubnet(text: string): Subnet {
  const [address = "", bits = ""] = text.split("/", 2);
  const family = isIP(address);
  const length = Number(bits);
  if ((family !== 4 && family !== 6) || !/^\d{1,3}$/.test(bits) || length > (family === 4 ? 32 : 128))
    throw new RangeError(`${text} is no subnet`);
  return { address, bits: length, family };
}

/** Whether two subnets share an address. */
export function overlaps(first: Subnet, second: Subnet): boolean {
  if (first.family !== second.family) return false;
  const [outer, inner] = first.bits <= second.bits ? [first, second] : [second, first];
  const family = outer.family === 4 ? "ipv4" : "ipv6";
  const range = new BlockList();
  range.addSubnet(outer.address, outer.bits, family);
  return range.check(inner.address, family);
}
