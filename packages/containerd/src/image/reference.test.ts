import { expect, test } from "vitest";
import { fullImageName } from "./reference.ts";

test.each([
  ["busybox", "docker.io/library/busybox:latest"],
  ["busybox:1.36", "docker.io/library/busybox:1.36"],
  ["team/app", "docker.io/team/app:latest"],
  ["localhost/app:1", "localhost/app:1"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  ["registry.example/team/app:2", "registry.example/team/app:2"],
  ["registry.example/app@sha256:abc", "registry.example/app@sha256:abc"],
])("%s is %s", (name, full) => {
  expect(fullImageName(name)).toBe(full);
});
