import { defineErrors } from "@aeon/core";

/** Everything this package can fail with, by reason. */
export const errors = defineErrors({
  ARCHIVE_CORRUPT: {
    code: "data-loss",
    when: "A stored layer is truncated, altered, or not in the archive format that aeon writes.",
    remedy: "Restore an older backup; check the disk or the store that held this one.",
  },
  ARCHIVE_HOSTILE: {
    code: "permission-denied",
    when: "A stored layer holds an entry that would leave its folder, is named twice, or exceeds a limit.",
    remedy: "Do not restore this backup; find out who could write to the store.",
  },
  ARCHIVE_UNSUPPORTED: {
    code: "unimplemented",
    when: "A stored layer was written in a newer or foreign form of the archive format.",
    remedy: "Install the aeon version that wrote it.",
  },
  ENCRYPTION_KEY_INVALID: {
    code: "invalid-argument",
    when: "The key file of backups cannot be read, or holds something else than keys of 32 bytes.",
    remedy:
      "Write one with `head -c 32 /dev/urandom | base64`, one key per line, the one to encrypt with first.",
  },
  ENCRYPTION_KEY_MISSING: {
    code: "failed-precondition",
    when: "A stored layer is encrypted with a key that is not in the key file.",
    remedy: "Add the key that the message names to backup.encryption.key-file, below the current one.",
  },
  EXCLUSION_INVALID: {
    code: "invalid-argument",
    when: "A path to leave out of backups is not absolute or holds a malformed set of characters.",
    remedy: "Write it from the root of the container, such as /var/cache/** or /tmp/*.",
  },
  LAYER_INCOMPLETE: {
    code: "failed-precondition",
    when: "An upper directory holds files whose data is elsewhere (overlay metacopy or redirect_dir).",
    remedy: "Mount containers with metacopy=off,redirect_dir=off; the layer stays staged.",
  },
  BACKUP_NOT_FOUND: {
    code: "not-found",
    when: "No backup has this id, neither on this node nor in the store.",
    remedy: "List the backups with `aeonctl backup ls`.",
  },
  BACKUP_ID_INVALID: {
    code: "invalid-argument",
    when: "A backup id holds characters other than letters, digits, dots and dashes.",
    remedy: "Copy the id from `aeonctl backup ls`.",
  },
  BACKUP_DAMAGED: {
    code: "data-loss",
    when: "A ref or manifest in the store does not verify.",
    remedy: "Restore another backup; check the disk that holds the store.",
  },
  BACKUP_FOREIGN: {
    code: "permission-denied",
    when: "A name or document in one tenant's part of the store refers to data of another tenant.",
    remedy: "Do not restore this backup; find out who could write to the store.",
  },
  BACKUP_PINNED: {
    code: "failed-precondition",
    when: "A backup that is pinned was to be removed.",
    remedy: "Unpin it first, if whoever pinned it agrees.",
  },
  BACKUP_IN_USE: {
    code: "failed-precondition",
    when: "A backup was to be removed that a container of this or another node runs on.",
    remedy:
      "Remove it when the containers that the message names are gone; a node that was lost is forgotten after `backup.retention.hold`. `aeonctl backup rm --force` removes it all the same: the containers go on, but nothing can be restored from it any more.",
  },
  LAYER_MISSING: {
    code: "unavailable",
    when: "A backup was to be named whose layers are not all in the store with their sizes.",
    remedy:
      "Nothing: the layer is packed and uploaded again. If it repeats, find out what deletes from the store.",
  },
  LIST_FILTER_INVALID: {
    code: "invalid-argument",
    when: "Backups of a workload were to be listed without its tenant, or of a container without its workload.",
    remedy: "Name the tenant (the namespace) too.",
  },
  BACKUP_NOT_STORED: {
    code: "unavailable",
    when: "A container waits for a backup that is still being packed, or a backup is to be removed on which one stands that is not stored yet.",
    remedy: "Try again once the backup is stored; see its failure with `aeonctl backup show`.",
  },
  CONTAINER_NOT_CAPTURABLE: {
    code: "not-found",
    when: "A backup was asked for of a container that is unknown, is a sandbox, or has no writable layer here.",
    remedy: "List containers with `aeonctl containers ls`; give the namespace with --namespace.",
  },
  SCHEDULE_INVALID: {
    code: "invalid-argument",
    when: "A schedule in the configuration or on a label is neither a time span nor a cron expression.",
    remedy: 'Write a time span such as "15m" or a cron expression such as "0 3 * * *".',
  },
  CAPTURE_RUNNING: {
    code: "failed-precondition",
    when: "A backup was asked for of a container that is being backed up.",
    remedy: "Wait for the backup that is under way.",
  },
  PAUSE_TOO_SHORT: {
    code: "deadline-exceeded",
    when: "A container could not be read within the time that it may stand still, and a live backup was not wanted.",
    remedy: "Allow a longer pause, or take the backup while the container runs.",
  },
  CAPTURE_DEFERRED: {
    code: "failed-precondition",
    when: "A snapshot that has to be kept could not be moved to staging yet, so its removal is refused.",
    remedy: "Remove the cause that the message names; containerd tries again by itself.",
  },
  PREDECESSOR_RUNNING: {
    code: "unavailable",
    when: "A container was to replace one of its pod, and to keep its files, while that one has not ended.",
    remedy: "End the earlier container; kubelet starts the later one again by itself.",
  },
  STAGING_FULL: {
    code: "failed-precondition",
    when: "Captured layers that wait to be stored exceed the staging limit, so further removals are refused.",
    remedy: "See why backups are not stored (`aeonctl backup ls`), or raise backup.staging-limit.",
  },
  STAGING_ELSEWHERE: {
    code: "failed-precondition",
    when: "The staging folder is not on the file system of the snapshots, so layers cannot be moved into it.",
    remedy: "Set backup.staging to a folder on the snapshotter's file system.",
  },
  UPPERDIR_UNKNOWN: {
    code: "failed-precondition",
    when: "A snapshot that has to be kept is neither an overlay nor a bind mount.",
    remedy: "Use a snapshotter with overlay mounts, or exclude the container from backups.",
  },
  STORE_UNUSABLE: {
    code: "unavailable",
    when: "The folder of the store cannot be created, read or written.",
    remedy: "Check backup.store.path, its permissions and its disk.",
  },
  STORE_UNREACHABLE: {
    code: "unavailable",
    when: "The store gives no usable answer, several attempts later: it is down, overloaded, or the way to it is.",
    remedy: "Check backup.store.endpoint, the network and the store; uploads are tried again by themselves.",
  },
  STORE_DENIED: {
    code: "permission-denied",
    when: "The store does not accept the credentials, or they lack a right.",
    remedy:
      "Check the credentials and their rights to list, read, write and delete below backup.store.prefix, and this node's clock.",
  },
  STORE_CREDENTIALS_INVALID: {
    code: "failed-precondition",
    when: "No credentials of the store are found, or their file cannot be read.",
    remedy: "Set backup.store.credentials-file to a JSON file, an AWS credentials file or a mounted Secret.",
  },
  RECORD_MALFORMED: {
    code: "data-loss",
    when: "A row of the backup plugin's own database does not hold what aeon wrote there.",
    remedy: "Check the disk; stored backups can still be read from the store.",
  },
  WORKER_FAILED: {
    code: "unavailable",
    when: "The process that packs or unpacks a layer ended without a result.",
    remedy: "See its last words in the message (out of memory, killed); the work is tried again.",
  },
  BACKUP_ROOT_INVALID: {
    code: "invalid-argument",
    when: "The path of the backup plugin's folder holds a comma, which no overlay mount option can express.",
    remedy: "Choose a root without commas.",
  },
  RESTORE_UNSUPPORTED: {
    code: "failed-precondition",
    when: "A restore was requested for a container with mapped ids whose snapshot has no parent.",
    remedy: "Start the container from an image, or without a user namespace.",
  },
  RESTORE_TOO_LATE: {
    code: "failed-precondition",
    when: "A restore was requested for a container that has been started before.",
    remedy: "Create a new container and request the restore before it starts.",
  },
  RESTORED_NOT_COMMITTED: {
    code: "failed-precondition",
    when: "The snapshot of a restored container was to be committed, which would leave the restored files out.",
    remedy:
      "Make an image of the container with a diff (`nerdctl commit`, `ctr images`), or use its next backup.",
  },
  RESTORE_NO_ROOM: {
    code: "unavailable",
    when: "The disk lacks free bytes or inodes for the layers of a backup, so nothing of them was unpacked.",
    remedy:
      "Free the room that the message names, or move the snapshotter's root to a larger disk, and start again.",
  },
  IMAGE_CHANGED: {
    code: "failed-precondition",
    when: "A container's image is not the one its backup was made on, and the policy does not put the files on another.",
    remedy:
      "Use the old image; or set the label backup.container.io/on-image-change to rebase (keep the files, conflicts are reported) or fresh (start clean, keep the backup).",
  },
  EROFS_UNUSABLE: {
    code: "failed-precondition",
    when: "A restored layer cannot be an EROFS image on this node: kernel or mkfs.erofs lacks, or the layer is mostly holes.",
    remedy:
      "Nothing; the layer is unpacked instead. Install erofs-utils, or set backup.restore-form to extracted.",
  },
  RESTORE_UNAVAILABLE: {
    code: "unavailable",
    when: "The store does not tell whether a container's workload has files to restore, so the container does not start.",
    remedy:
      "Bring the store back and start the container again; or set the label backup.container.io/restore=never, or backup.restore-unavailable to fresh, to start clean.",
  },
  START_DEFERRED: {
    code: "unavailable",
    when: "A container that may have files to restore is to start while the backup plugin is not running.",
    remedy:
      "See why the plugin does not run (`aeonctl status`) and start the container again; the label backup.container.io/restore=never starts it clean.",
  },
  RESTORE_FAILED: {
    code: "unavailable",
    when: "The layers of a requested backup could not be put under the container, so it must not start.",
    remedy: "Remove the cause that the message names and start the container again.",
  },
  EXPORT_BASE_MISSING: {
    code: "not-found",
    when: "The image that a backup lies on, or a layer of it, is neither in containerd nor in what --base names.",
    remedy: "Pull the image again, or give it as an OCI image layout (folder or tar) with --base.",
  },
  EXPORT_BASE_DIFFERENT: {
    code: "failed-precondition",
    when: "The image of that name is not the one that the backup was made upon: its layers differ.",
    remedy: "Give the former image as an OCI image layout with --base.",
  },
  EXPORT_BLOB_DAMAGED: {
    code: "data-loss",
    when: "A layer read for an export does not match its digest or size; what was written is removed.",
    remedy: "Verify the backup (`aeonctl backup verify`), or pull the image again.",
  },
  FILE_NOT_FOUND: {
    code: "not-found",
    when: "A path is not among the files of a backup: it does not exist, or the container left it as its image has it.",
    remedy: "List the files with `aeonctl backup files BACKUP`.",
  },
  FILE_WITHOUT_CONTENT: {
    code: "failed-precondition",
    when: "The content of something in a backup was asked for that is no regular file.",
    remedy: "Name a regular file; follow a link by its target.",
  },
  STORE_ADDRESS_INVALID: {
    code: "invalid-argument",
    when: "What names a store on a command line or in a configuration is not a folder, an s3 address or a known table.",
    remedy: "Give a folder or s3://bucket/prefix, or the agent's configuration file.",
  },
  STORE_NOT_FOUND: {
    code: "not-found",
    when: "The folder that was named as a store holds no backups.",
    remedy: "Name the folder of `backup.store.path`; see it in the agent's configuration.",
  },
});
