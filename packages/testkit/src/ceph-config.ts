import { join } from "node:path";

/** Where the parts of a Ceph cluster listen on the loopback interface. */
export interface CephPorts {
  readonly monitor: number;
  readonly plain: number;
  readonly tls: number;
}

export interface CephConfig {
  readonly ports: CephPorts;
  /** Holds everything that the cluster writes. */
  readonly folder: string;
  /** Of the unpacked packages. */
  readonly root: string;
  readonly libraries: string;
}

export const clusterId = "6f0a4b1e-0d3c-4a5e-9d57-2a8f6c1e7b90";
/** Name of a key that the gateway can encrypt with; the key itself is a test's. */
export const encryptionKey = "test-key";
const encryptionSecret = Buffer.alloc(32, "aeon").toString("base64");

/** A cluster of one monitor, one OSD that keeps everything in memory, and a gateway; without authentication inside. */
export function cephConfig({ ports, folder, root, libraries }: CephConfig): string {
  const at = (name: string): string => join(folder, name);
  const frontends = [
    `beast endpoint=127.0.0.1:${ports.plain} ssl_endpoint=127.0.0.1:${ports.tls}`,
    `ssl_certificate=${at("certificate.pem")} ssl_private_key=${at("key.pem")}`,
    "tcp_nodelay=1 max_connection_backlog=1024",
  ].join(" ");
  return `[global]
fsid = ${clusterId}
mon host = v2:127.0.0.1:${ports.monitor}
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = ${folder}
log file = ${at("$name.log")}
admin socket = ${at("$name.asok")}
plugin dir = ${join(libraries, "ceph")}
erasure code dir = ${join(libraries, "ceph/erasure-code")}
osd class dir = ${join(libraries, "rados-classes")}
mon data = ${at("mon")}
mon cluster log to file = false
mon allow pool size one = true
mon max pg per osd = 1000
mon tick interval = 1
paxos propose interval = 0.02
paxos min wait = 0.01
osd data = ${at("osd")}
osd objectstore = memstore
memstore device bytes = 17179869184
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
[client.rgw]
rgw data = ${at("rgw")}
rgw mime types file = ${join(root, "etc/mime.types")}
rgw dns name = s3.localhost
rgw frontends = ${frontends}
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = ${encryptionKey}=${encryptionSecret}
`;
}
