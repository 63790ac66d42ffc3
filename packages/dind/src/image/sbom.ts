import type { DebianPackage } from "./package-status.ts";

/** Something that an image is made of. */
export interface BomPart {
  readonly name: string;
  readonly version: string;
  /** Unique in the image. */
  readonly id: string;
  /** Package URL. */
  readonly purl: string;
  readonly supplier?: string;
  readonly homepage?: string;
  /** SPDX expression, where its author gave one. */
  readonly license?: string;
  readonly sourceInfo?: string;
}

/** A Debian package as a part of an image. */
export const debianPart = (entry: DebianPackage): BomPart => ({
  id: entry.name,
  name: entry.name,
  version: entry.version,
  supplier: entry.maintainer,
  homepage: entry.homepage,
  sourceInfo: `built from Debian source package ${entry.source}`,
  purl: `pkg:deb/debian/${encodeURIComponent(entry.name)}@${encodeURIComponent(entry.version)}?arch=${entry.architecture}`,
});

export interface BomRequest {
  /** Of the image. */
  readonly name: string;
  readonly parts: readonly BomPart[];
  /** The program that made the image. */
  readonly tool: string;
  /** Seconds. */
  readonly epoch: number;
}

/** Bill of materials of an image as SPDX 2.3 JSON; the same parts give the same text. */
export function spdxDocument({ name, parts, tool, epoch }: BomRequest): string {
  const entries = parts.map((part) => ({
    SPDXID: spdxId(part.id),
    name: part.name,
    versionInfo: part.version,
    supplier: part.supplier ? `Organization: ${part.supplier}` : "NOASSERTION",
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: part.license ?? "NOASSERTION",
    copyrightText: "NOASSERTION",
    ...(part.sourceInfo !== undefined && { sourceInfo: part.sourceInfo }),
    ...(part.homepage && { homepage: part.homepage }),
    externalRefs: [
      { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: part.purl },
    ],
  }));
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `https://aeon.invalid/spdx/${name}`,
    creationInfo: {
      created: new Date(epoch * 1000).toISOString().replace(".000Z", "Z"),
      creators: [`Tool: ${tool}`],
    },
    packages: entries,
    relationships: entries.map(({ SPDXID }) => ({
      spdxElementId: "SPDXRef-DOCUMENT",
      relationshipType: "DESCRIBES",
      relatedSpdxElement: SPDXID,
    })),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

const spdxId = (name: string): string => `SPDXRef-Package-${name.replaceAll(/[^A-Za-z0-9.-]/g, "-")}`;
