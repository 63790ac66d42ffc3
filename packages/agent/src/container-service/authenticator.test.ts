import { containerId, namespace, type TokenReview, type TokenReviewer } from "@aeon/core";
import * as v from "valibot";
import { expect, test } from "vitest";
import { Authenticator } from "./authenticator.ts";
import { containerServiceConfig } from "./config.ts";
import type { Caller } from "./pod-folder.ts";
import { ReviewCache } from "./review-cache.ts";

const pod = { namespace: "shop", name: "web-0", uid: "0b5f9f9e-0000-4000-8000-000000000001" };
const extra = (name: string, uid: string) => ({
  "authentication.kubernetes.io/pod-name": [name],
  "authentication.kubernetes.io/pod-uid": [uid],
});
const good: TokenReview = {
  authenticated: true,
  username: "system:serviceaccount:shop:cart",
  audiences: ["aeon"],
  extra: extra(pod.name, pod.uid),
};
const owner = { namespace: namespace("k8s.io"), containerId: containerId("c1") };
const callerIn = (folder: object): Caller => ({
  folder: folder as Caller["folder"],
  peer: { pid: 0, uid: 0, gid: 0 },
});
const inPod = callerIn({ owner: { ...owner, pod } });

function authenticator(
  review: TokenReview | Error | undefined,
  table: object = {},
  hasKubernetes = review !== undefined,
) {
  let now = 1_000_000;
  let asked = 0;
  let answer = review;
  const reviewer: TokenReviewer = {
    async review() {
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer ?? { authenticated: false, reason: "" };
    },
  };
  const subject = new Authenticator({
    config: v.parse(containerServiceConfig, table),
    hasKubernetes,
    reviewer: () => (answer === undefined ? undefined : reviewer),
    registry: () => undefined,
    cache: new ReviewCache(() => now),
  });
  return {
    identify: (header: string | null, caller = inPod) => subject.identify(caller, header),
    pass: (ms: number) => void (now += ms),
    become: (next: TokenReview | Error | undefined) => void (answer = next),
    asked: () => asked,
  };
}

test("a token of the socket's pod is good, and asked about once a minute", async () => {
  const subject = authenticator(good);
  expect(await subject.identify("Bearer abc")).toMatchObject({
    pod,
    proof: { kind: "service-account", name: "cart" },
  });
  await Promise.all([subject.identify("bearer abc"), subject.identify("Bearer abc")]);
  expect(subject.asked()).toBe(1);
  subject.pass(60_001);
  subject.become({ authenticated: false, reason: "expired" });
  await expect(subject.identify("Bearer abc")).rejects.toMatchObject({ reason: "TOKEN_REFUSED" });
  expect(subject.asked()).toBe(2);
});

test("a token is not good for longer than itself", async () => {
  const subject = authenticator(good);
  const claims = Buffer.from(JSON.stringify({ exp: 1010 })).toString("base64url");
  await subject.identify(`Bearer h.${claims}.s`);
  subject.pass(9_999);
  await subject.identify(`Bearer h.${claims}.s`);
  expect(subject.asked()).toBe(1);
  subject.pass(2);
  await subject.identify(`Bearer h.${claims}.s`);
  expect(subject.asked()).toBe(2);
});

test.each<[string, TokenReview, string]>([
  ["of another pod", { ...good, extra: extra("web-1", "other") }, "TOKEN_OF_ANOTHER_POD"],
  ["of a pod of the same name before", { ...good, extra: extra(pod.name, "other") }, "TOKEN_OF_ANOTHER_POD"],
  ["of no pod", { ...good, extra: {} }, "TOKEN_OF_ANOTHER_POD"],
  ["of a user", { ...good, username: "admin" }, "TOKEN_OF_ANOTHER_POD"],
  ["of another namespace", { ...good, username: "system:serviceaccount:x:cart" }, "TOKEN_OF_ANOTHER_POD"],
  ["for another audience", { ...good, audiences: ["api"] }, "TOKEN_REFUSED"],
  ["forged", { authenticated: false, reason: "bad signature" }, "TOKEN_REFUSED"],
])("a token %s is refused", async (_name, review, reason) => {
  const code = reason === "TOKEN_REFUSED" ? "unauthenticated" : "permission-denied";
  await expect(authenticator(review).identify("Bearer abc")).rejects.toMatchObject({ reason, code });
});

test.each([null, "", "Bearer", "Basic abc", "Bearer a b", `Bearer ${"x".repeat(20_000)}`])(
  "%j is no token",
  async (header) => {
    await expect(authenticator(good).identify(header)).rejects.toMatchObject({ reason: "TOKEN_MISSING" });
  },
);

test("an API server that does not answer opens no door, and is asked again at once", async () => {
  const subject = authenticator(new Error("connection refused"));
  const refused = { reason: "TOKEN_UNCHECKED", code: "unavailable" };
  await expect(subject.identify("Bearer abc")).rejects.toMatchObject(refused);
  subject.become(undefined);
  await expect(subject.identify("Bearer abc")).rejects.toMatchObject(refused);
  subject.become(good);
  expect(await subject.identify("Bearer abc")).toMatchObject({ pod });
});

test("without Kubernetes the socket says who it is; a container without a pod has no token", async () => {
  expect(await authenticator(undefined).identify(null)).toMatchObject({ pod, proof: { kind: "socket" } });
  expect(await authenticator(good).identify(null, callerIn({ owner }))).toMatchObject({
    proof: { kind: "socket" },
  });
  await expect(
    authenticator(undefined, { authentication: "token" }).identify("Bearer x"),
  ).rejects.toMatchObject({
    reason: "TOKEN_UNCHECKED",
  });
});
