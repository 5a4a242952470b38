import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { token_chips } from "../../book/theme/explorers/draw/token_chips.js";
import { mergedState, merges, readable } from "../../book/theme/explorers/engines/merges.js";
import { BytePairs } from "../../book/theme/explorers/model/byte_pairs.js";
import { Unreadable } from "../../book/theme/explorers/model/unreadable.js";

const { data, labels, cases, words } = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const tokenizer = new BytePairs(data);
const WIDTHS = [320, 390, 720];
const draw = (drawn, width, chosen = null) => token_chips(drawn, { width, words, chosen });
const boxes = ({ marks }) => marks.filter(([tag]) => tag === "rect").map(([, box]) => box);

test("a text of the reader's own gets the arguments and the sentence that Python gives it", () => {
  assert.equal(cases.length, 56);
  for (const { text, merges: count, sentence, arguments: wanted } of cases) {
    const state = mergedState(tokenizer, text, count, words);
    assert.equal(state.sentence, sentence);
    assert.deepEqual(state.arguments, wanted);
  }
});

test("every token is labelled as Python labels it", () => {
  assert.deepEqual(tokenizer.bytes.slice(1).map(readable), labels);
});

test("what is no text, too long or nothing gets a sentence", async () => {
  const payload = { words, controls: [{ kind: "text", name: "text", longest: 5 }] };
  for (const [text, sentence] of [
    ["", words.nothing],
    ["abcdef", "text has 6 characters; give at most 5"],
    ["a\ud83d", words.half.replace("{character}", "\ufffd")],
  ]) {
    await assert.rejects(merges({ text, merges: 3 }, payload), new Unreadable(sentence));
  }
});

test("chips stand in reading order, apart, inside the picture, and large enough to hit", () => {
  for (const width of WIDTHS) {
    for (const { arguments: drawn } of cases) {
      const result = draw(drawn, width);
      const chips = boxes(result);
      assert.equal(chips.length, drawn.tokens.length);
      chips.forEach((chip, place) => {
        assert.ok(chip.x >= 0 && chip.x + chip.width <= width + 0.01 && chip.y + chip.height <= result.height);
        assert.ok(chip.width >= 24 && chip.height >= 24);
        const next = chips[place + 1];
        if (next) assert.ok(next.y === chip.y ? next.x >= chip.x + chip.width : next.y >= chip.y + chip.height && next.x === 0);
      });
    }
  }
});

test("pointing at a chip finds it, and what is said names its id, its bytes and its pair", () => {
  for (const { arguments: drawn } of cases) {
    const result = draw(drawn, 320);
    boxes(result).forEach(({ x, y, width, height }, place) => {
      const cell = result.cells.find(x + width / 2, y + height / 2);
      const said = result.cells.say(cell);
      const { bytes, pair, merge } = drawn.origins[place];
      assert.ok(said.startsWith(`${drawn.tokens[place]}: id ${drawn.ids[place]}, byte`));
      assert.ok(said.includes(bytes));
      if (pair) assert.ok(said.endsWith(`merge ${merge} joined ${pair[0]} and ${pair[1]}.`));
      const [lit, ...others] = boxes(draw(drawn, 320, cell)).filter((box) => / lit/.test(box.class));
      assert.ok(lit.x === x && lit.y === y && !others.length);
    });
    assert.equal(result.cells.find(-5, 5), null);
    assert.equal(result.cells.find(5, 5000), null);
  }
});

test("the arrow keys walk through every chip of a text and back, and between lines", () => {
  const { arguments: drawn } = cases.find(({ text, merges: count }) => text.length > 40 && !count);
  const { cells } = draw(drawn, 320);
  let cell = cells.first;
  const seen = [];
  for (let i = 0; i < drawn.tokens.length; i++) {
    seen.push(cells.say(cell));
    cell = cells.move(cell, [0, 1]);
  }
  assert.deepEqual(seen.map((said) => said.split(":")[0]), drawn.tokens);
  assert.deepEqual(cells.move(cell, [0, 1]), cell);
  for (let i = 1; i < drawn.tokens.length; i++) cell = cells.move(cell, [0, -1]);
  assert.deepEqual(cell, cells.first);
  assert.deepEqual(cells.move(cell, [0, -1]), cell);
  assert.deepEqual(cells.move(cell, [-1, 0]), cell);
  assert.deepEqual(cells.move([0, 0, 4], [1, 0]), [0, 1, 4]);
  assert.ok(!cells.has([0, 99, 0]));
});

test("what the latest merge made is outlined, at every place where it stands", () => {
  const drawn = mergedState(tokenizer, "the then", 128, words).arguments;
  assert.ok(drawn.made.length);
  const fresh = boxes(draw(drawn, 720)).map((box) => / fresh/.test(box.class));
  assert.deepEqual(fresh, drawn.tokens.map((_, place) => drawn.made.includes(place)));
});

test("at one width the height stays while a text of up to six lines of bytes is merged", () => {
  for (const width of WIDTHS) {
    for (const text of new Set(cases.map((each) => each.text))) {
      const heights = cases.filter((each) => each.text === text).map((each) => draw(each.arguments, width).height);
      assert.equal(new Set(heights).size, 1, `${text} at ${width}: ${heights}`);
    }
  }
});

test("a token of many bytes stays inside a narrow picture", () => {
  const tokens = ["␣".repeat(60), "x"];
  const origins = [{ bytes: "20", merge: 0 }, { bytes: "78", merge: 0 }];
  const result = draw({ tokens, ids: [5, 6], made: [], origins }, 320);
  assert.ok(boxes(result).every((chip) => chip.x + chip.width <= 320));
  assert.ok(result.marks.some(([, { textLength }]) => textLength < 320));
});
