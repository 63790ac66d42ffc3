import { expect, test } from "vitest";
import { parseHttpAddress, showHttpAddress } from "./http-address.ts";

test.each(["127.0.0.1:9464", "[::1]:0", "localhost:65535", "node-1.example:80"])("%s", (text) => {
  const address = parseHttpAddress(text);
  expect(address && showHttpAddress(address)).toBe(text);
});

test.each(["", "9464", ":9464", "127.0.0.1", "127.0.0.1:65536", "::1:80", "a b:1", "x:-1", "http://x:1"])(
  "%j is no address",
  (text) => {
    expect(parseHttpAddress(text)).toBeUndefined();
  },
);
