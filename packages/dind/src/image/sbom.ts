import type { DebianPackage } from "./package-status.ts";

/** Bill of materials of an image as SPDX 2.3 JSON; the same packages give the same text. */
export function spdxDocument(
  name: string,
  packages: readonly DebianPackage[],
  epoch: number,
  namespace: string,
): string {
  const entries = packages.map((entry) => ({
    SPDXID: spdxId(entry.name),
    name: entry.name,
    versionInfo: entry.version,
    supplier: `Organization: ${entry.maintainer || "NOASSERTION"}`,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: "NOASSERTION",
    copyrightText: "NOASSERTION",
    sourceInfo: `built from Debian source package ${entry.source}`,
    ...(entry.homepage !== "" && { homepage: entry.homepage }),
    externalRefs: [
      {
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: `pkg:deb/debian/${encodeURIComponent(entry.name)}@${encodeURIComponent(entry.version)}?arch=${entry.architecture}`,
      },
    ],
  }));
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: namespace,
    creationInfo: {
      created: new Date(epoch * 1000).toISOString().replace(".000Z", "Z"),
      creators: ["Tool: aeonctl dind image build"],
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
