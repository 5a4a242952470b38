import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BytePairs } from "../../book/theme/explorers/model/byte_pairs.js";
import { Unreadable } from "../../book/theme/explorers/model/unreadable.js";

const expected = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const tokenizer = new BytePairs(expected.data);

test("texts of every kind get Python's ids", () => {
  assert.ok(expected.texts.length > 3000);
  for (const [text, ids] of expected.texts) assert.deepEqual(tokenizer.encode(text), ids);
});

test("with fewer merges they get the ids of a younger tokenizer", () => {
  for (const [text, merges, ids] of expected.some) {
    assert.deepEqual(tokenizer.encode(text, merges), ids, `${merges} merges of ${text}`);
  }
});

test("ids become text again, with � for bytes that are no character", () => {
  for (const [ids, text] of expected.decoded) assert.equal(tokenizer.decode(ids), text);
});

test("tokens have the names that Python shows", () => {
  assert.deepEqual(tokenizer.names, expected.names);
});

test("texts are cut into GPT-2's words", () => {
  for (const [text, words] of expected.words) assert.deepEqual(tokenizer.words(text), words);
});

test("every character is cut as Python cuts it", (t) => {
  const lacks = new Set();
  for (const [first, last] of expected.unassigned) {
    for (let point = first; point <= last; point++) lacks.add(point);
  }
  let skipped = 0;
  const wrong = [];
  for (const [lengths, runs] of Object.entries(expected.cuts)) {
    for (const [first, last] of runs) {
      for (let point = first; point <= last; point++) {
        const character = String.fromCodePoint(point);
        if (lacks.has(point) !== /\p{Cn}/u.test(character)) {
          skipped++; // assigned after the Unicode version of one side
          continue;
        }
        const words = tokenizer.words(`a${character} ${character}1`);
        if (words.map((word) => [...word].length).join() !== lengths) wrong.push(point);
      }
    }
  }
  t.diagnostic(`${skipped} characters skipped`);
  assert.deepEqual(wrong, []);
  assert.ok(skipped < 30_000);
});

test("steps count the tokens that Python has after so many merges", () => {
  for (const [text, merges, ids] of expected.some) {
    const bytes = new TextEncoder().encode(text).length;
    const done = tokenizer.steps(text).filter((step) => step.merges <= merges);
    assert.equal(done.at(-1)?.count ?? bytes, ids.length);
  }
});

test("each step makes its token, and there is no other", () => {
  for (const [text] of expected.some.slice(0, 40)) {
    let before = new TextEncoder().encode(text).length;
    for (const { merges, id, count } of tokenizer.steps(text)) {
      assert.equal(tokenizer.encode(text, merges - 1).length, before);
      const ids = tokenizer.encode(text, merges);
      assert.ok(ids.length === count && count < before && ids.includes(id));
      before = count;
    }
  }
});

test("10,000 characters are cut well under 100 ms, whatever they are", (t) => {
  const took = [];
  for (const [text] of expected.texts.filter(([text]) => text.length >= 10_000)) {
    const fresh = new BytePairs(expected.data);
    const start = performance.now();
    fresh.encode(text);
    took.push(performance.now() - start);
  }
  t.diagnostic(`${took.map((ms) => ms.toFixed(1)).join(", ")} ms`);
  assert.ok(took.length > 10);
  assert.ok(Math.max(...took) < 100);
});

test("half a character is refused, with the sentence for it", () => {
  const words = { half: "no text: {character}" };
  const strict = new BytePairs({ ...expected.data, words });
  for (const text of ["\ud83d", "a\ude00b", "\ude00\ud83d"]) {
    assert.throws(() => strict.encode(text), new Unreadable("no text: �"));
    assert.throws(() => strict.steps(text), Unreadable);
  }
  assert.doesNotThrow(() => strict.encode("😀"));
});
