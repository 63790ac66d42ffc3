export { openAtSync, readAtSync, statAtSync, statDescriptorSync, type FileStatus } from "./at.ts";
export { controlGroupsIn, controlHierarchiesIn, hasControllers } from "./control-hierarchies.ts";
export { moveToControlGroups, removeControlGroups } from "./control-groups.ts";
export { tellsEntryTypesSync } from "./directory-entries.ts";
export { listNamesSync } from "./directory-names.ts";
export { withFileIdsSync } from "./file-ids.ts";
export { lockFileSync, syncFileSystem } from "./file-system.ts";
export { LinuxError } from "./linux-error.ts";
export { releaseFreeMemory, releaseProgramCode } from "./memory.ts";
export { mount, mountFlags, parseMountOptions, unmount, unmountFlags, type MountCall } from "./mount.ts";
export { attachTreeSync, cloneTreeSync, inMountNamespaceSync, unmountSync } from "./mount-tree.ts";
export {
  attachMountSync,
  cloneMountSync,
  enterNamespaceSync,
  makeMountPrivateSync,
  mapMountSync,
  openUserNamespaceOfSync,
  unshareFileSystemSync,
} from "./namespace.ts";
export { openBeneath, openBeneathSync, openFlags, resolveFlags, type OpenRequest } from "./open.ts";
export { descriptorPath, type BytePath } from "./path.ts";
export { signalOnParentDeath, takeDescriptorSync } from "./process.ts";
export { linkDescriptor, renameExchange, renameNoReplace, renameNoReplaceSync } from "./rename.ts";
export { linuxSelfTest } from "./self-test.ts";
export { netlinkRequestSync, netlinkProtocols } from "./netlink.ts";
export { listenUnixSync, peerCredentials, sendDatagramSync, type PeerCredentials } from "./socket.ts";
export { allocate, nextData, nextDataSync, nextHole, nextHoleSync, punch } from "./sparse.ts";
export {
  deviceNumber,
  makeDeviceSync,
  makeFifoSync,
  makeSocketFileSync,
  type DeviceNumber,
} from "./special-file.ts";
export { setDescriptorTimesSync, setTimesSync, type FileTimes } from "./times.ts";
export {
  getXattr,
  getXattrSync,
  listXattrs,
  listXattrsSync,
  removeXattr,
  removeXattrSync,
  setXattr,
  setXattrSync,
  type XattrSetMode,
  type XattrTarget,
} from "./xattr.ts";
export { BackgroundSha256 } from "./sha256.ts";
export { ZstdContext, ZstdReader, type ZstdTuning } from "./zstd.ts";
