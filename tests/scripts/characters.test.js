import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { normalize, readDate } from "../../book/theme/explorers/model/characters.js";
import { Unreadable } from "../../book/theme/explorers/model/unreadable.js";

const expected = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const { data } = expected;

test("every character is normalized as Python does it", (t) => {
  const changed = new Map(Object.entries(expected.changed));
  const pythonLacks = new Set();
  for (const [first, last] of expected.unassigned) {
    for (let point = first; point <= last; point++) pythonLacks.add(point);
  }
  const skipped = [];
  const wrong = [];
  let compared = 0;
  for (let point = 0; point < 0x110000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const character = String.fromCodePoint(point);
    if (pythonLacks.has(point) !== /\p{Cn}/u.test(character)) {
      skipped.push(point); // assigned after the Unicode version of one side
      continue;
    }
    for (const context of expected.contexts) {
      const text = context.replace("{}", () => character);
      if (normalize(text, data) !== (changed.get(text) ?? text)) wrong.push(text);
      compared++;
    }
  }
  t.diagnostic(`${compared} texts compared, ${skipped.length} characters skipped`);
  assert.deepEqual(wrong, []);
  assert.ok(compared > 3_200_000 && skipped.length < 30_000);
});

test("texts get the ids, or the sentence, that they get in Python", () => {
  let sentences = 0;
  for (const [text, ids, sentence] of expected.reads) {
    if (sentence === null) {
      const read = readDate(text, data);
      assert.deepEqual(read.ids, ids);
      assert.deepEqual(read.tokens.map((token) => data.source_tokens.indexOf(token)), ids);
    } else {
      const isTheSentence = (problem) =>
        problem instanceof Unreadable && problem.message === sentence;
      assert.throws(() => readDate(text, data), isTheSentence, sentence);
      sentences++;
    }
  }
  assert.ok(sentences > 100 && sentences < expected.reads.length - 100);
});

test("half a character is shown as the sign that stands for it", () => {
  assert.throws(() => readDate("5 May 2024 \ud83d", data), { name: "Unreadable", message: /�/ });
});
