import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { flowParts, mapMarks } from "../../book/theme/explorers/draw/flow_map.js";
import { residual_flow } from "../../book/theme/explorers/draw/residual_flow.js";
import { textWidth } from "../../book/theme/explorers/draw/text.js";
import { describe } from "../../book/theme/explorers/engines/flow.js";

const { words, layers, ends, found } = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const WIDTHS = [320, 390, 639, 640, 720];

/** Turn every {shape, data} into what the page has. */
function inPage(value) {
  if (value === null || typeof value !== "object" || value instanceof Float64Array) return value;
  if (Array.isArray(value)) return value.map(inPage);
  if (value.data) return { shape: value.shape, data: Float64Array.from(value.data) };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inPage(item)]));
}

const passes = found.map(({ seen, states }) => ({ seen: inPage(seen), states }));
const stateOf = (seen, place) => describe(seen, place, { layers, ends }, words);
const draw = (drawn, width, chosen = null) => residual_flow(drawn, { width, words, chosen, raster: () => "data:," });

test("a text of the reader's own gets the arguments and the sentence that Python gives it", () => {
  for (const { seen, states } of passes) {
    assert.equal(states.length, 15);
    states.forEach(({ sentence, arguments: wanted, room }, place) => {
      const state = stateOf(seen, place);
      assert.equal(state.sentence, sentence);
      assert.equal(state.arguments.room, room);
      for (const [name, value] of Object.entries(wanted)) {
        const given = state.arguments[name];
        if (!value?.data) {
          assert.deepEqual(given, value, name);
          continue;
        }
        assert.deepEqual(given.shape, value.shape, name);
        value.data.forEach((number, i) => assert.ok(Math.abs(number - given.data[i]) < 1e-5, name));
      }
      for (const name of Object.keys(state.arguments)) {
        assert.ok(name in wanted || ["room", "ends"].includes(name), name);
      }
    });
  }
});

test("the parts come in the order of the flow, in equal columns for equal parts", () => {
  const kinds = flowParts([1, 2]).map(({ stack, kind, layer, column }) => `${stack[0]} ${kind} ${layer} ${column}`);
  assert.deepEqual(kinds, [
    ...["e embedding 0 0", "e self 1 1", "e forward 1 3", "e norm 0 7"],
    ...["d embedding 0 0", "d self 1 1", "d cross 1 2", "d forward 1 3"],
    ...["d self 2 4", "d cross 2 5", "d forward 2 6", "d norm 0 7", "d output 0 8"],
  ]);
});

test("the map lights one part, and boxes lie side by side, each as wide as its name at least", () => {
  for (const width of WIDTHS) {
    for (let place = 0; place < 15; place++) {
      const marks = mapMarks(layers, place, width, words);
      const boxes = marks.filter(([, { class: name }]) => /flow-part/.test(name)).map(([, box]) => box);
      const names = marks.filter(([, { class: name }]) => /flow-name/.test(name));
      assert.equal(boxes.length, 15);
      boxes.forEach((box, i) => {
        assert.equal(/lit/.test(box.class), i === place);
        assert.ok(textWidth(names[i][2], 12) <= box.width + 4, names[i][2]);
        for (const other of boxes.slice(i + 1)) {
          assert.ok(other.y !== box.y || other.x >= box.x + box.width || box.x >= other.x + other.width);
        }
      });
    }
  }
});

/** Give the box of a text that stands upright. */
function area([, a, text]) {
  const wide = textWidth(text, a["font-size"]);
  const anchor = /\bend\b/.test(a.class) ? 1 : /\b(middle|foot)\b/.test(a.class) ? 0.5 : 0;
  const low = /\bfoot\b/.test(a.class) ? a.y : a.y + 6;
  return [a.x - anchor * wide, low - 12, a.x + (1 - anchor) * wide, low];
}

test("no text lies on another, and nothing lies outside, whatever the width and the text", () => {
  for (const width of WIDTHS) {
    for (const { seen } of passes) {
      for (let place = 0; place < 15; place++) {
        const { marks, height } = draw(stateOf(seen, place).arguments, width);
        const upright = marks.filter(([tag, { transform, class: name }]) => tag === "text" && !transform && !/flow-name|key|foot/.test(name));
        const areas = upright.map((mark) => [...area(mark), mark[2]]);
        areas.forEach((one, i) => {
          const where = `${one} at ${width}, part ${place}`;
          assert.ok(one[0] >= -3 && one[2] <= width + 3 && one[1] >= -3 && one[3] <= height, where);
          for (const other of areas.slice(i + 1)) {
            const apart = one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] + 1 || other[3] <= one[1] + 1;
            assert.ok(apart, `${where} and ${other}`);
          }
        });
      }
    }
  }
});

test("at one width, all parts of a text have one height", () => {
  for (const width of WIDTHS) {
    for (const { seen } of passes) {
      const heights = Array.from({ length: 15 }, (_, place) => draw(stateOf(seen, place).arguments, width).height);
      assert.equal(new Set(heights).size, 1);
    }
  }
});

test("a date fits a phone with cells of 22 pixels at least", () => {
  const { cells } = draw(stateOf(passes[0].seen, 8).arguments, 358);
  const widths = [];
  for (let x = 58.5, before = -1; x < 358; x++) {
    const cell = cells.find(x, 565);
    if (cell?.[0] === 1 && cell[2] !== before) widths.push(x), (before = cell[2]);
  }
  assert.equal(widths.length, 12);
  assert.ok(widths.slice(1).every((x, i) => x - widths[i] >= 22));
});

test("cells and tables say the numbers of the part", () => {
  const { seen } = passes[0];
  const { arguments: drawn } = stateOf(seen, 7);
  const { cells, tables } = draw(drawn, 720);
  const [vectors, attention] = tables();
  const [rows, columns] = drawn.weights.shape;
  for (let row = 0; row < rows; row++) {
    const norm = drawn.norms.data[row];
    assert.ok(cells.say([0, row, 0]).includes(`norm ${norm.toFixed(1)}, turned by ${drawn.turns.data[row].toFixed(0)}°`));
    assert.deepEqual(vectors.rows[row].slice(1), [norm.toFixed(2), `${drawn.turns.data[row].toFixed(1)}°`]);
    for (let column = 0; column < columns; column++) {
      const weight = drawn.weights.data[row * columns + column];
      const said = cells.say([1, row, column]);
      if (column > row) assert.match(said, /mask hides/);
      else assert.ok(said.includes(`weight ${weight.toFixed(2)}`));
      assert.equal(attention.rows[row][column + 1], column > row ? "–" : weight.toFixed(3));
    }
  }
  const [output] = draw(stateOf(seen, 14).arguments, 720).tables();
  assert.equal(output.rows.map((row) => row[1]).join(""), `${seen.text}<eos>`);
});

test("a chosen cell outlines its row and column, and one of another part does no harm", () => {
  const { seen } = passes[0];
  const outlined = (place, chosen) => {
    const { marks } = draw(stateOf(seen, place).arguments, 720, chosen);
    return marks.filter(([, { class: name }]) => /-line$/.test(name) && name !== "flow-line").length;
  };
  assert.equal(outlined(1, [1, 2, 3]), 2);
  assert.equal(outlined(1, [0, 2, 0]), 0);
  assert.equal(outlined(2, [1, 2, 3]), 0);
  assert.equal(outlined(1, [1, 40, 3]), 0);
  assert.equal(outlined(1, [1, 3, 40]), 0);
});
