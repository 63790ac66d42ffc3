import { expect, test } from "vitest";
import type { Pod } from "./api.ts";
import { wishesOfAnnotations } from "./annotations.ts";

const pod = (annotations: Readonly<Record<string, string>>): Pod => ({
  metadata: { name: "p", uid: "u", resourceVersion: "1", annotations: { ...annotations } },
  spec: { containers: [] },
});

test("annotations choose containers, the identity's key and the restore policy", () => {
  const labels = {
    "backup.container.io/containers": "main, side",
    "backup.container.io/key": "shop.web",
    "backup.container.io/restore": "never",
  };
  expect(wishesOfAnnotations(pod({ ...labels, "example.org/other": "x" }))).toEqual({ labels, faults: [] });
});

test("malformed annotations are left out and told of", () => {
  const { labels, faults } = wishesOfAnnotations(
    pod({
      "backup.container.io/containers": "Main;rm",
      "backup.container.io/key": "other/0",
      "backup.container.io/restore": "sometimes",
      "backup.container.io/enabled": "yes",
      "backup.container.io/enabeld": "true",
      "backup.container.io/schedule": "",
    }),
  );
  expect(labels).toEqual({});
  expect(faults).toHaveLength(6);
  expect(faults).toContain("annotation backup.container.io/enabeld is not known");
  expect(faults).toContain('annotation backup.container.io/key cannot be "other/0"');
});
