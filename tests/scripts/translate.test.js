import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BARS_HEIGHT, candidates } from "../../book/theme/explorers/draw/candidates.js";
import { translation } from "../../book/theme/explorers/draw/translation.js";
import { describe, isDay } from "../../book/theme/explorers/engines/translate.js";
import { unpack } from "../../book/theme/explorers/unpack.js";

const { words, heads, found, packed, days } = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const WIDTHS = [320, 390, 540, 720];

/** Give the array of the model as the page has it. */
function inPage(seen) {
  const array = ({ shape, data }) => ({ shape, data: Float64Array.from(data) });
  return { ...seen, crossAttention: array(seen.crossAttention), probabilities: array(seen.probabilities) };
}

function draw(drawn, width, chosen = null) {
  return translation(drawn, { width, words, chosen });
}

const drawnOf = ({ seen }, step = 7) => describe(inPage(seen), { step, head: 0, decoding: "greedy" }, words).arguments;
const texts = ({ marks }, pattern) => marks.filter(([tag, { class: name }]) => tag === "text" && pattern.test(name));
const title = (result) => texts(result, /title/).map(([, , text]) => text)[0];

test("a text of the reader's own gets the arguments and the sentence that Python gives it", () => {
  let count = 0;
  for (const { seen, states } of found) {
    for (const { step, head, decoding, sentence, arguments: wanted } of states) {
      const state = describe(inPage(seen), { step, head: heads.indexOf(head), decoding }, words);
      assert.equal(state.sentence, sentence);
      assert.deepEqual(Object.keys(state.arguments).sort(), Object.keys(wanted).sort());
      for (const [name, value] of Object.entries(wanted)) {
        const given = state.arguments[name];
        if (value?.data) {
          assert.deepEqual(given.shape, value.shape);
          value.data.forEach((number, i) => assert.ok(Math.abs(number - given.data[i]) < 1e-6, name));
        } else {
          assert.deepEqual(given, value, name);
        }
      }
      count += 1;
    }
  }
  assert.equal(count, 40);
});

test("a day is what Python's calendar takes for one", () => {
  for (const [text, expected] of days) assert.equal(isDay(text), expected, text);
});

test("the written character is always among the bars, and the bars add up to 1", () => {
  for (const { seen } of found) {
    const drawn = drawnOf({ seen });
    drawn.target_tokens.forEach((token, step) => {
      const bars = candidates(drawn, step, "others");
      assert.ok(bars.length >= 2 && bars.length <= 5);
      assert.ok(bars.slice(0, -1).some((bar) => bar.token === token));
      assert.ok(Math.abs(bars.reduce((sum, { chance }) => sum + chance, 0) - 1) < 1e-5);
      const shown = bars.slice(0, -1).map(({ chance }) => chance);
      assert.deepEqual(shown, [...shown].sort((a, b) => b - a));
    });
  }
});

test("the cells of the matrix and the table say the weights of the model", () => {
  const [{ seen }] = found;
  const drawn = drawnOf({ seen });
  const { cells, tables } = draw(drawn, 720);
  const [rows, columns] = drawn.weights.shape;
  const [weights, expected] = tables();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const weight = drawn.weights.data[row * columns + column];
      assert.ok(cells.say([0, row, column]).includes(`weight ${weight.toFixed(2)};`));
      assert.equal(Number(weights.rows[row][column + 1]), Number(weight.toFixed(3)));
    }
  }
  assert.equal(expected.rows.length, rows);
  assert.deepEqual(cells.first, [0, 6, 4]); // the step's own row, where it reads most
});

test("pointing at a chip means its row, or its column in the step's row", () => {
  for (const width of WIDTHS) {
    for (const example of found) {
      const drawn = drawnOf(example);
      const result = draw(drawn, width);
      const boxes = result.marks.filter(([tag, { class: name, rx }]) => tag === "rect" && name === "frame" && rx);
      const columns = drawn.source_tokens.length;
      assert.equal(boxes.length, columns + drawn.target_tokens.length);
      boxes.forEach(([, { x, y, width: wide, height }], place) => {
        const cell = result.cells.find(x + wide / 2, y + height / 2);
        if (place < columns) return assert.deepEqual(cell, [0, drawn.step, place]);
        assert.deepEqual(cell.slice(0, 2), [0, place - columns]);
        const weights = drawn.weights.data.slice(cell[1] * columns, (cell[1] + 1) * columns);
        return assert.equal(weights[cell[2]], Math.max(...weights));
      });
    }
  }
});

test("a chip that is pointed at shows its step, until a control moves", () => {
  const drawn = drawnOf(found[0]);
  const moved = drawnOf(found[0], 9);
  const chosen = [0, 3, 2];
  assert.match(title(draw(drawn, 720)), /7/);
  assert.match(title(draw(drawn, 720, chosen)), /4/);
  assert.match(title(draw(drawn, 720, chosen)), /4/); // drawn anew, as after a change of width
  assert.match(title(draw(moved, 720, chosen)), /9/);
  assert.match(title(draw(moved, 720, [0, 3, 2])), /4/);
  assert.match(title(draw(moved, 720, [0, 99, 99])), /9/); // of another text
});

test("nothing overlaps, whatever the width and the text", () => {
  for (const width of WIDTHS) {
    for (const example of found) {
      const { marks, height } = draw(drawnOf(example), width);
      const boxes = marks.filter(([tag, { class: name, rx }]) => tag === "rect" && name === "frame" && rx);
      const areas = boxes.map(([, { x, y, width: wide, height: high }]) => [x, y, x + wide, y + high]);
      const matrix = marks.find(([tag, { class: name, rx }]) => tag === "rect" && name === "frame" && !rx)[1];
      areas.push([matrix.x, matrix.y, matrix.x + matrix.width, matrix.y + matrix.height]);
      const bar = marks.find(([, { class: name }]) => name === "bar")[1];
      areas.push([bar.x, bar.y, width, bar.y + BARS_HEIGHT - 18]);
      areas.forEach((one, i) => {
        assert.ok(one[0] >= -0.1 && one[2] <= width + 0.1 && one[3] <= height, `${one} at ${width}`);
        for (const other of areas.slice(i + 1)) {
          const apart = one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1];
          assert.ok(apart, `${one} and ${other} at ${width}`);
        }
      });
    }
  }
});

test("a ribbon ends in its character, as wide as its weight", () => {
  const drawn = drawnOf(found[0], 8);
  const { marks } = draw(drawn, 720);
  const [, strong] = marks.filter(([, { class: name }]) => /ribbon/.test(name));
  const starts = [...strong[1].d.matchAll(/M([\d.]+) \d+C[\d. ]+ ([\d.]+) (\d+)H([\d.]+)/g)];
  const row = drawn.weights.data.slice(7 * 8, 8 * 8).filter((weight) => weight >= 0.02);
  assert.ok(Math.min(...row) < 0.1 && row.length > 4);
  assert.equal(starts.length, row.length);
  starts.forEach(([, , left, , right], i) => assert.ok(Math.abs(right - left - row[i] * 32) < 0.2));
});

test("at one width, every shipped state has the same height", async () => {
  const { states } = await unpack(packed);
  for (const width of WIDTHS) {
    const heights = new Set(states.map((state) => draw(state.arguments, width).height));
    assert.equal(heights.size, 1);
  }
});
