import assert from "node:assert/strict";
import { test } from "node:test";

import { fill } from "../../book/theme/explorers/words.js";

test("names become values, as often as they occur", () => {
  const filled = fill("{query} reads {key} with {weight}, {query}!", { query: "月", key: 3, weight: 0 });
  assert.equal(filled, "月 reads 3 with 0, 月!");
});

test("a name without a value stays, also one that every object has", () => {
  assert.equal(fill("{here} {toString}", { there: 1 }), "{here} {toString}");
});

test("a value is taken as it is", () => {
  assert.equal(fill("{a}{b}", { a: "{b}", b: "$& $1" }), "{b}$& $1");
});
