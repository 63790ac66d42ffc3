import { fetchPackageTree } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";

/** What the suite and the programs it compiles need, of the machine's own suite as runc itself. */
const packages =
  "golang-go golang-github-opencontainers-runc-dev gcc libc6-dev libseccomp-dev jq gawk criu bash dash coreutils mount " +
  "util-linux procps grep sed findutils tar xz-utils bsdutils base-files libc-bin libstdc++6";

/** Root file system with bats, Go, jq and the like, fetched once per machine (about 200 MB). */
export const suiteTree = async (): Promise<string> =>
  (await fetchPackageTree({ cache: testCache, name: "bats", with: packages.split(" ") })).root;
