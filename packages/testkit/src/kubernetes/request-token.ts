import type { ApiClient } from "./api-client.ts";
import type { TokenOptions } from "./api-server-types.ts";

/** Issuer of ServiceAccount tokens, and the audience that an API server of the tests' own accepts. */
export const serviceAccountIssuer = "https://kubernetes.default.svc";

/** A token by TokenRequest, bound to a pod when one is named; for the API server itself unless it has other audiences. */
export async function requestToken(
  admin: ApiClient,
  namespace: string,
  name: string,
  { audiences = [], seconds = 3600, pod }: TokenOptions = {},
): Promise<string> {
  const answer = await admin.create<{ status: { token: string } }>(
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        audiences,
        expirationSeconds: seconds,
        ...(pod && { boundObjectRef: { apiVersion: "v1", kind: "Pod", ...pod } }),
      },
    },
  );
  return answer.status.token;
}
