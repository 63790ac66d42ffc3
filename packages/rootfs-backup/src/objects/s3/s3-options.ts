/** Key pair of a store; never in logs or errors. */
export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

/** Gives the credentials of now; `renew` asks to read them again because the store refused the last ones. */
export interface S3CredentialSource {
  current(renew?: boolean): Promise<S3Credentials>;
}

/** How the store encrypts what it keeps: with its own key, or with one of its key management. */
export type S3Encryption =
  | { readonly type: "sse-s3" }
  | { readonly type: "sse-kms"; /** The store's default key when absent. */ readonly keyId?: string };

/** Milliseconds. */
export interface S3Timeouts {
  /** Until a connection, TLS included, stands. */
  readonly connect: number;
  /** Without a byte in either direction. */
  readonly idle: number;
  /** For one request with its answer, which carries at most one part. */
  readonly total: number;
}

/** How one request is tried again: `minDelayMs` × 2^n, up to twice as long at random, at most `maxDelayMs`. */
export interface S3Retry {
  /** Attempts after the first one. */
  readonly retries: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export interface S3Options {
  /** Such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:9000`; without a path. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** In front of every key, without slashes at its ends; empty for the bucket's top. */
  readonly prefix: string;
  readonly credentials: S3CredentialSource;
  /** The bucket in the path of the address, or as its first label. */
  readonly pathStyle: boolean;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca?: string;
  readonly encryption?: S3Encryption;
  /** Bytes of one request, 5 MiB to 1 GiB: larger files go in parts. Memory is `concurrency` times this at most. */
  readonly partSize: number;
  /** Parts and ranges in flight, over all files. */
  readonly concurrency: number;
  readonly timeouts: S3Timeouts;
  readonly retry: S3Retry;
  /** Folder on this host for files on their way to and from the store, this writer's alone. */
  readonly spool: string;
}
