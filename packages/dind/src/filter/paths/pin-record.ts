/** One file of the main container that an inner container or volume uses. */
export interface PinRecord {
  /** 32 hexadecimal digits nobody can guess; name of the mount. */
  readonly id: string;
  /** As the client wrote it: what inspect shows. */
  readonly asked: string;
  /** Where it was found, without links. */
  readonly path: string;
  /** Which file that was, to recognise it after a restart of D. */
  readonly device: number;
  readonly inode: number;
}

/** What a container's inspection is given back: the binds as its creator wrote them. */
export interface BindRecord {
  readonly container: string;
  readonly binds: readonly string[];
}

export interface PinState {
  readonly version: 1;
  readonly pins: readonly PinRecord[];
  readonly binds: readonly BindRecord[];
}
