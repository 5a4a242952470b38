import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { next_token_shaping } from "../../book/theme/explorers/draw/next_token_shaping.js";
import { percent, thousands } from "../../book/theme/explorers/draw/text.js";
import { next_token, shapedState } from "../../book/theme/explorers/engines/next_token.js";
import { Unreadable } from "../../book/theme/explorers/model/unreadable.js";

const { cases, names, words, longest } = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const WIDTHS = [320, 390, 720];
const states = cases.map(({ raw, probabilities, values }) =>
  shapedState({ raw: Float32Array.from(raw), probabilities: Float32Array.from(probabilities), names }, values, words),
);
const draw = (drawn, width, chosen = null) => next_token_shaping(drawn, { width, words, chosen });
const ends = (d) => {
  const found = [...d.matchAll(/M([\d.]+) /g)].map(([, x]) => Number(x));
  return [found[0], found.at(-1)];
};
const of = ({ marks }, pattern) => marks.filter(([, { class: kind }]) => pattern.test(kind));

test("a prompt of the reader's own gets the arguments and the sentence that Python gives it", () => {
  assert.equal(cases.length, 25);
  cases.forEach(({ sentence, arguments: wanted }, place) => {
    const { arguments: given, sentence: said } = states[place];
    assert.equal(said, sentence);
    for (const name of ["tokens", "kept", "vocabulary"]) assert.deepEqual(given[name], wanted[name]);
    for (const name of ["before", "after"]) {
      assert.deepEqual(given[name].shape, [11]);
      wanted[name].forEach((share, i) => assert.ok(Math.abs(share - given[name].data[i]) < 1e-5));
    }
  });
});

test("a prompt that is too long or no text gets a sentence, and no model is asked", async () => {
  const payload = { words, controls: [{ kind: "slider" }, { kind: "text", name: "prompt", longest }] };
  const sentence = `prompt has 1,401 characters; give at most ${longest}`;
  await assert.rejects(next_token({ prompt: "😀".repeat(1401) }, payload), new Unreadable(sentence));
  await assert.rejects(next_token({ prompt: "a\udc00" }, payload), Unreadable);
});

test("bars and outlines are as long as their shares, on one scale", () => {
  for (const width of WIDTHS) {
    for (const { arguments: drawn } of states) {
      const result = draw(drawn, width);
      const [line] = of(result, /^rule$/);
      const [left, right] = ends(line[1].d);
      const scale = right - left;
      assert.ok(scale > 80, `${scale} at ${width}`);
      const bars = of(result, /^bar$/).slice(-11).map(([, { width: long }]) => Number(long));
      const outlines = of(result, /^(outline|frame)$/).slice(-11).map(([, { width: long }]) => Number(long));
      drawn.before.data.forEach((share, i) => {
        assert.ok(Math.abs(outlines[i] - Math.max(share * scale, 1)) < 0.3);
        const cut = i >= drawn.kept;
        assert.ok(Math.abs(bars[i] - (cut ? 0 : Math.max(drawn.after.data[i] * scale, 1))) < 0.3);
      });
    }
  }
});

test("a cut token is hatched, and a word says so in the picture, the cell and the table", () => {
  for (const { arguments: drawn } of states) {
    const { cells, tables, ...result } = draw(drawn, 390);
    const hatched = of(result, /^hatch$/).map(([, { d }]) => d !== "M0 0");
    assert.deepEqual(hatched, Array.from({ length: 11 }, (_, i) => i >= drawn.kept));
    const [{ rows }] = tables();
    hatched.forEach((cut, row) => {
      assert.equal(rows[row][2] === words.cut, cut);
      assert.equal(/never drawn/.test(cells.say([0, row, 0])), cut);
    });
    assert.equal(of(result, /end/).filter(([, , text]) => text === words.cut).length, hatched.filter(Boolean).length);
  }
});

test("the lines of a hatch stay inside their outline", () => {
  for (const { arguments: drawn } of states) {
    const result = draw(drawn, 720);
    const frames = of(result, /^(outline|frame)$/).slice(-11);
    of(result, /^hatch$/).forEach(([, { d }], row) => {
      const { x, y, width, height } = frames[row][1];
      for (const [, right, down] of d === "M0 0" ? [] : d.matchAll(/[ML]([\d.]+) ([\d.]+)/g)) {
        assert.ok(right >= x - 0.1 && right <= x + Number(width) + 0.1 && down >= y - 0.1 && down <= y + height + 0.1);
      }
    });
  }
});

test("a cell is as wide as the picture, says the numbers, and is lit", () => {
  const { arguments: drawn } = states[1];
  const result = draw(drawn, 390, [0, 2, 0]);
  const cell = result.cells.find(300, 30 + 2.5 * 28);
  assert.deepEqual(cell, [0, 2, 0]);
  const said = result.cells.say(cell);
  assert.ok(said.includes(drawn.tokens[2]) && said.includes(percent(drawn.before.data[2])));
  const lit = of(result, /lit/).map(([, , text]) => text);
  assert.equal(lit.length, 3);
  assert.ok(said.includes(lit[0]));
});

test("of the others that are not named, the cell says how many remain", () => {
  const { arguments: drawn } = states.find(({ arguments: { kept } }) => kept > 10 && kept < 1000);
  assert.ok(draw(drawn, 390).cells.say([0, 10, 0]).endsWith(`${drawn.kept - 10} of them remain.`));
});

test("the height never changes, and a long name is shortened", () => {
  for (const width of WIDTHS) {
    assert.equal(new Set(states.map((state) => draw(state.arguments, width).height)).size, 1);
  }
  const tokens = Array(10).fill("broadcasting_of_everything");
  const result = draw({ ...states[0].arguments, tokens }, 320);
  const [[, { x }, text]] = of(result, /^end$/);
  assert.ok(text.endsWith("…") && text.length < 16 && x < 110);
});

test("numbers are written as Python writes them", () => {
  assert.deepEqual([0, 0.0004, 0.0005, 0.1234, 1].map(percent), ["< 0.1", "< 0.1", "0.1", "12.3", "100.0"]);
  assert.deepEqual([7, 999, 1000, 1234567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
});
