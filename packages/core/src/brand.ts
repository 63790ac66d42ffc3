declare const brand: unique symbol;

/** A string that was checked once to be a particular kind of name; costs nothing at run time. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A snapshot's name as containerd's proxy plugin sends it: opaque, may hold spaces and slashes. Never a file name. */
export type SnapshotKey = Brand<string, "SnapshotKey">;
/** A containerd container id. */
export type ContainerId = Brand<string, "ContainerId">;
/** A containerd namespace, such as `default` or `k8s.io`. */
export type Namespace = Brand<string, "Namespace">;
/** Names one backup within a store; safe as a file name. */
export type BackupId = Brand<string, "BackupId">;

/** Says once, where a name enters the program, what kind of name it is. */
function assertBrand<Name extends string>(_value: string): asserts _value is Brand<string, Name> {}

const brander =
  <Name extends string>() =>
  (value: string): Brand<string, Name> => {
    assertBrand<Name>(value);
    return value;
  };

export const snapshotKey: (value: string) => SnapshotKey = brander<"SnapshotKey">();
export const containerId: (value: string) => ContainerId = brander<"ContainerId">();
export const namespace: (value: string) => Namespace = brander<"Namespace">();
export const backupId: (value: string) => BackupId = brander<"BackupId">();
