/** Messages of netlink(7), rtnetlink(7) and linux/netfilter/nf_tables.h that remove what dockerd and aeon made. */

const flags = { request: 1, acknowledge: 4 } as const;
const types = { deleteLink: 17, batchBegin: 16, batchEnd: 17, deleteTable: (10 << 8) | 2 } as const;
const attributes = { linkName: 3, tableName: 1 } as const;
const nftSubsystem = 10;
const families = { unspecified: 0, ipv4: 2 } as const;

function message(type: number, flag: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + payload.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flag, 6);
  header.writeUInt32LE(1, 8);
  return Buffer.concat([header, payload]);
}

/** Type, length and a string with its end mark, padded to four bytes. */
function attribute(type: number, value: string): Buffer {
  const text = Buffer.from(`${value}\0`);
  const size = 4 + text.length;
  const bytes = Buffer.alloc(Math.ceil(size / 4) * 4);
  bytes.writeUInt16LE(size, 0);
  bytes.writeUInt16LE(type, 2);
  text.copy(bytes, 4);
  return bytes;
}

/** RTM_DELLINK by name. */
export const deleteLinkMessage = (name: string): Buffer =>
  message(
    types.deleteLink,
    flags.request | flags.acknowledge,
    Buffer.concat([Buffer.alloc(16), attribute(attributes.linkName, name)]),
  );

/** struct nfgenmsg; its last member is in network order. */
function netfilter(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

/** A batch that deletes one IPv4 table with all in it. */
export const deleteTableMessage = (table: string): Buffer =>
  Buffer.concat([
    message(types.batchBegin, flags.request, netfilter(families.unspecified, nftSubsystem)),
    message(
      types.deleteTable,
      flags.request | flags.acknowledge,
      Buffer.concat([netfilter(families.ipv4, 0), attribute(attributes.tableName, table)]),
    ),
    message(types.batchEnd, flags.request, netfilter(families.unspecified, nftSubsystem)),
  ]);
