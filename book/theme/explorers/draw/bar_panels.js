/** Bars of several panels on one scale, each with its number. */
import { fill } from "../words.js";
import { makeCells } from "./cells.js";
import { decimal, FONT, SMALL, textWidth } from "./text.js";

const ROW = 26;
const TITLE = 30;
const GAP = 28;

/** Draw `panels`, bars by name and panel, from 0 to `limit`; a cell is [panel, bar, 0]. */
export function bar_panels({ panels, limit }, { width, words, chosen }) {
  const names = Object.keys(panels);
  const values = names.map((name) => Object.entries(panels[name]));
  const most = limit ?? Math.max(...values.flat().map(([, value]) => value));
  const beside = width >= 520 ? names.length : 1;
  const each = (width - GAP * (beside - 1)) / beside;
  const high = TITLE + ROW * Math.max(...values.map((bars) => bars.length));
  const targets = names.map((_, panel) => ({
    x: (panel % beside) * (each + GAP),
    y: Math.floor(panel / beside) * (high + 12) + TITLE,
    rows: values[panel].length,
    columns: 1,
    width: each,
    height: ROW,
  }));
  const marks = names.flatMap((name, panel) => {
    const row = chosen?.[0] === panel ? chosen[1] : -1;
    return panelMarks(name, values[panel], targets[panel], most, row);
  });
  const say = (panel, row) => {
    const [name, value] = values[panel][row];
    return fill(words.cell, { panel: names[panel], name, value: decimal(value, 3) });
  };
  return {
    height: (high + 12) * Math.ceil(names.length / beside),
    marks,
    cells: makeCells(targets, say),
    tables: () =>
      names.map((caption, panel) => ({
        caption,
        head: ["", caption],
        rows: values[panel].map(([name, value]) => [name, decimal(value, 3)]),
      })),
  };
}

function panelMarks(name, bars, { x, y, width }, most, chosen) {
  const room = Math.max(...bars.map(([label]) => textWidth(label))) + 10;
  const scale = (width - room - textWidth("0.00") - 8) / most;
  const marks = [["text", { class: "title", x, y: y - 12, "font-size": FONT }, name]];
  bars.forEach(([label, value], row) => {
    const middle = y + (row + 0.5) * ROW;
    const length = Math.max(value * scale, 0.5);
    const lit = row === chosen ? " lit" : "";
    marks.push(
      ["text", { class: `end${lit}`, x: x + room - 8, y: middle, "font-size": FONT }, label],
      ["rect", { class: "bar", x: x + room, y: middle - 8, width: length.toFixed(2), height: 16 }],
      ["text", { class: `start${lit}`, x: x + room + length + 6, y: middle, "font-size": SMALL }, decimal(value)],
    );
  });
  return marks;
}
