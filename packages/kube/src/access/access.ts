/** Where an API server is and how to be let in. */
export interface Access {
  /** Such as `https://10.0.0.1:6443`; may have a path. */
  readonly server: string;
  /** Certificates to trust, PEM; the system's when absent. */
  readonly ca?: string;
  /** Name that the server's certificate has to be for, when not the server's own. */
  readonly serverName?: string;
  /** Accepts any certificate. */
  readonly insecure?: boolean;
  /** Client certificate and key, PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** The bearer token now; read again where it is a file, as the kubelet renews those. */
  readonly token?: () => Promise<string>;
}
