import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { drawings } from "../../book/theme/explorers/draw/index.js";
import { textWidth } from "../../book/theme/explorers/draw/text.js";
import { unpack } from "../../book/theme/explorers/unpack.js";

const expected = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));
const WIDTHS = [320, 358, 700];

/** Give the box of a mark, as far as its attributes tell. */
function box([tag, a, text]) {
  if (tag === "rect" || tag === "image") return [a.x, a.y, a.x + Number(a.width), a.y + Number(a.height)];
  if (tag === "circle") return [a.cx - a.r, a.cy - a.r, a.cx + a.r, a.cy + a.r];
  if (tag !== "text" || a.transform) return null;
  const wide = textWidth(text, a["font-size"]);
  const anchor = /\bend\b/.test(a.class) ? 1 : /\b(middle|foot|number)\b/.test(a.class) ? 0.5 : 0;
  const high = a["font-size"] / 2;
  return [a.x - anchor * wide, a.y - high, a.x + (1 - anchor) * wide, a.y + high];
}

function checkMarks({ marks, height }, width, drawn) {
  assert.ok(Number.isFinite(height) && height > 0);
  for (const mark of marks) {
    const [tag, attributes, text] = mark;
    assert.match(tag, /^(rect|path|text|circle|image)$/);
    for (const [name, value] of Object.entries(attributes)) {
      assert.ok(!/NaN|undefined|Infinity/.test(String(value)), `${drawn}: ${tag} ${name}=${value}`);
    }
    if (tag === "text") {
      assert.ok(attributes["font-size"] >= 12, `${drawn}: ${text} is too small`);
      assert.ok(typeof text === "string" && !/undefined|NaN|\{\w+\}/.test(text), text);
    }
    const [left, top, right, bottom] = box(mark) ?? [0, 0, 0, 0];
    const where = `${drawn} at ${width}: ${tag} ${text ?? ""} [${[left, top, right, bottom].map(Math.round)}]`;
    assert.ok(left >= -3 && right <= width + 3 && top >= -3 && bottom <= height + 6, where);
  }
}

for (const { name, packed } of expected) {
  test(`${name} is drawn within its bounds at every width`, async () => {
    const { drawing, states, words } = await unpack(packed);
    const draw = drawings[drawing];
    const shown = states.filter((state) => !state.error);
    const step = Math.max(1, Math.floor(shown.length / 30));
    for (const width of WIDTHS) {
      for (let place = 0; place < shown.length; place += step) {
        const context = { width, words, chosen: null, raster: () => "data:," };
        const result = draw(shown[place].arguments, context);
        checkMarks(result, width, `${name} ${place}`);
        checkCells(draw, shown[place].arguments, context, result, name);
        for (const { caption, head, rows } of result.tables()) {
          assert.ok(caption && rows.length);
          for (const row of rows) assert.equal(row.length, head.length);
        }
      }
    }
  });
}

/** Every cell has words, can be reached by keys from the first one, and is drawn when it is chosen. */
function checkCells(draw, drawn, context, { cells }, name) {
  if (!cells) return;
  let cell = cells.first;
  assert.ok(cells.has(cell));
  for (const move of [[0, 1], [1, 0], [0, 1], [1, 0], [0, -1], [-1, 0]]) {
    const words = cells.say(cell);
    assert.ok(words && !/undefined|NaN|\{\w+\}/.test(words), `${name}: ${words}`);
    checkMarks(draw(drawn, { ...context, chosen: cell, pinned: true }), context.width, name);
    cell = cells.move(cell, move);
    assert.ok(cells.has(cell));
  }
}
