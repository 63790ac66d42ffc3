import fc from "fast-check";
import { expect, test } from "vitest";
import { expired, type Retainable, type RetentionRules } from "./retention.ts";

const hour = 3_600_000;
const now = 1_800_000_000_000;

const backup = (id: string, hoursAgo: number, size = 1, isPinned = false): Retainable => ({
  id,
  createdAt: now - hoursAgo * hour,
  isPinned,
  blobs: [{ digest: id, size }],
});

const goneOf = (chain: readonly Retainable[], rules: RetentionRules) => [
  ...expired(chain, rules, now).keys(),
];

test("without rules everything stays", () => {
  expect(goneOf([backup("a", 9999), backup("b", 1)], {})).toEqual([]);
});

test("keeps the last, and one per hour, day and week", () => {
  const chain = [200, 100, 50, 49, 30, 3, 2.2, 2.1, 1, 0].map((ago) => backup(String(ago), ago));
  const left = (rules: RetentionRules) => {
    const gone = expired(chain, rules, now);
    return chain.filter(({ id }) => !gone.has(id)).map(({ id }) => Number(id));
  };
  expect(left({ keepLast: 3 })).toEqual([2.1, 1, 0]);
  expect(left({ keepHourly: 3 })).toEqual([2.1, 1, 0]);
  expect(left({ keepDaily: 3 }).length).toBe(3);
  expect(left({ keepWeekly: 10 }).length).toBeLessThanOrEqual(3);
  expect(left({ keepLast: 1, keepDaily: 2 })).toEqual(expect.arrayContaining([0]));
});

test("says by which rule a backup goes", () => {
  const chain = [backup("old", 400), backup("more", 3, 10), backup("large", 2, 10), backup("newest", 1, 10)];
  expect([...expired(chain, { maxAgeMs: 100 * hour, keepLast: 2, maxBytes: 15 }, now)]).toEqual([
    ["old", "max-age"],
    ["more", "not-kept"],
    ["large", "max-bytes"],
  ]);
});

test("age counts against every rule, but not for the newest and pinned ones", () => {
  const chain = [backup("pinned", 500, 1, true), backup("old", 400), backup("newest", 300)];
  expect(goneOf(chain, { keepLast: 10, maxAgeMs: 100 * hour })).toEqual(["old"]);
});

test("bytes are those of all that stays, shared layers once, and nothing goes for no gain", () => {
  const apart = [backup("a", 4, 10), backup("b", 3, 10), backup("c", 2, 10), backup("d", 1, 10)];
  expect(goneOf(apart, { maxBytes: 25 })).toEqual(["a", "b"]);
  expect(goneOf(apart, { maxBytes: 40 })).toEqual([]);
  expect(goneOf(apart, { maxBytes: 1 })).toEqual(["a", "b", "c"]);
  const chained = apart.map((each, index) => ({
    ...each,
    blobs: apart.slice(0, index + 1).flatMap(({ blobs }) => blobs),
  }));
  expect(goneOf(chained, { maxBytes: 1 })).toEqual([]);
});

const rulesArbitrary: fc.Arbitrary<RetentionRules> = fc.record(
  {
    keepLast: fc.nat(5),
    keepHourly: fc.nat(5),
    keepDaily: fc.nat(5),
    keepWeekly: fc.nat(5),
    maxAgeMs: fc.nat(1000 * hour),
    maxBytes: fc.nat(100),
  },
  { requiredKeys: [] },
);

const chainArbitrary = fc
  .array(
    fc.record({
      ago: fc.integer({ min: -100, max: 2000 }),
      isPinned: fc.boolean(),
      layers: fc.array(fc.nat(9)),
    }),
    { maxLength: 30 },
  )
  .map((items) =>
    items.map(({ ago, isPinned, layers }, index): Retainable => ({
      ...backup(`b${index}`, ago),
      isPinned,
      blobs: layers.map((layer) => ({ digest: `l${layer}`, size: layer })),
    })),
  );

test("the newest and pinned ones always stay; the last stay unless too old or too large", () => {
  fc.assert(
    fc.property(chainArbitrary, rulesArbitrary, (chain, rules) => {
      const gone = expired(chain, rules, now);
      const isBounded = rules.maxAgeMs !== undefined || rules.maxBytes !== undefined;
      const last = isBounded ? [] : chain.slice(chain.length - (rules.keepLast ?? 0));
      const safe = [...chain.slice(-1), ...chain.filter(({ isPinned }) => isPinned), ...last];
      const all = Object.keys(rules).length === 0 ? chain : [];
      expect([...safe, ...all].filter(({ id }) => gone.has(id))).toEqual([]);
    }),
  );
});

test("applying it again removes nothing more, and a looser rule never removes more", () => {
  fc.assert(
    fc.property(chainArbitrary, rulesArbitrary, (chain, rules) => {
      const gone = expired(chain, rules, now);
      const rest = chain.filter(({ id }) => !gone.has(id));
      const looser = { ...rules, keepLast: (rules.keepLast ?? 0) + 1 };
      const isComparable = rules.keepLast !== undefined && rules.maxBytes === undefined;
      const goneByLooser = isComparable ? [...expired(chain, looser, now).keys()] : [];
      expect([...expired(rest, rules, now).keys()]).toEqual([]);
      expect(goneByLooser.filter((id) => !gone.has(id))).toEqual([]);
    }),
  );
});
