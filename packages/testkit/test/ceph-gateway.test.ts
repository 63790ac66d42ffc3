import { existsSync } from "node:fs";
import { get } from "node:https";
import { once } from "node:events";
import { expect, test } from "vitest";
import { launchCephGateway, leftBehind } from "../src/index.ts";

test("serves S3 plain and over TLS, comes back after a kill, and leaves nothing behind", async () => {
  const gateway = await launchCephGateway();
  const folder = gateway.folder;
  {
    await using _ = gateway;
    const plain = async () => (await fetch(gateway.endpoint)).text();
    expect(await plain()).toContain("ListAllMyBucketsResult");
    const request = get(gateway.tlsEndpoint, { ca: gateway.ca });
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(200);
    const { pid } = gateway;
    await gateway.kill();
    await expect(plain()).rejects.toThrow("fetch failed");
    await gateway.start();
    expect(gateway.pid).not.toBe(pid);
    expect(await plain()).toContain("ListAllMyBucketsResult");
  }
  expect(existsSync(folder)).toBe(false);
  expect(await leftBehind(folder)).toEqual([]);
});
