/** The most probable next tokens twice: outlined as the model gives them, filled as they are shaped. */
import { fill } from "../words.js";
import { makeCells } from "./cells.js";
import { FONT, percent, SMALL, textWidth, thousands, visible } from "./text.js";

const ROW = 28;
const HEAD = 30;
const FOOT = 26;
const BAR = 12;
const OUTLINE = 20;
const DASHES = 7; // pixels between the lines of a hatch

/** Draw `before` and `after` of `tokens`, the last entry for all others; the first `kept` of `vocabulary` stay. A cell is [0, row, 0]. */
export function next_token_shaping(drawn, { width, words, chosen }) {
  const rows = readRows(drawn, words);
  const layout = layOut(rows, width);
  const marks = [
    ...gridMarks(layout, rows.length, words),
    ...rows.flatMap((row, place) => rowMarks(row, HEAD + (place + 0.5) * ROW, layout, chosen?.[1] === place)),
  ];
  const targets = [{ x: 0, y: HEAD, rows: rows.length, columns: 1, width, height: ROW }];
  return {
    height: HEAD + ROW * rows.length + FOOT,
    marks,
    cells: makeCells(targets, (_, row) => rows[row].said),
    tables: () => [
      {
        caption: words.caption,
        head: [words.token, words.before, words.after],
        rows: rows.map(({ name, numbers }) => [name, ...numbers]),
      },
    ],
  };
}

function readRows({ tokens, before, after, kept, vocabulary }, words) {
  const others = vocabulary - tokens.length;
  const names = [...tokens.map(visible), fill(words.others, { count: thousands(others) })];
  return names.map((name, place) => {
    const shares = [before.data[place], after.data[place]];
    const [first, second] = shares.map(percent);
    const cut = place >= kept;
    const some = place === tokens.length && !cut;
    const template = cut ? words.cell_cut : some ? words.cell_others : words.cell;
    const values = { token: name, before: first, after: second, kept: thousands(kept - tokens.length) };
    const number = (value) => fill(words.percent, { value });
    return { name, shares, cut, said: fill(template, values), numbers: [number(first), cut ? words.cut : number(second)] };
  });
}

function layOut(rows, width) {
  const size = width < 420 ? SMALL : FONT;
  const column = textWidth("100.0 %", size) + 10;
  const longest = Math.max(...rows.map(({ name }) => textWidth(name, size)));
  const left = Math.min(longest, width * 0.3) + 8;
  const ends = [width - column, width];
  return { size, left, ends, column, width: width - 2 * column - left - 10 };
}

/** Rule the scale from 0 to 1, and say above the numbers which of the bars they belong to. */
function gridMarks({ size, left, ends, width }, count, words) {
  const bottom = HEAD + ROW * count;
  const ticks = width < 200 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  const d = ticks.map((tick) => `M${(left + tick * width).toFixed(1)} ${HEAD}V${bottom}`).join("");
  const heads = [words.before, words.after].flatMap((text, i) => {
    const x = ends[i] - 0.9 * textWidth(text, size) - 16;
    const swatch = i ? { class: "bar", x, y: 9, width: 11, height: 8 } : { class: "outline", x, y: 7, width: 10, height: 12 };
    return [["rect", swatch], ["text", { class: "end axis", x: ends[i], y: 13, "font-size": size }, text]];
  });
  return [
    ["path", { class: "rule", d }],
    ...ticks.map((tick) => [
      "text",
      { class: "axis middle", x: left + tick * width, y: bottom + 14, "font-size": SMALL },
      tick < 1 ? String(100 * tick) : fill(words.percent, { value: 100 }),
    ]),
    ...heads,
  ];
}

function rowMarks({ name, shares, cut, numbers }, y, { size, left, ends, width }, chosen) {
  const [before, after] = shares.map((share) => Math.max(share * width, 1));
  const lit = chosen ? " lit" : "";
  return [
    ["text", { class: `end${lit}`, x: left - 8, y, "font-size": size }, shortened(name, left - 8, size)],
    ["rect", { class: "bar", x: left, y: y - BAR / 2, width: cut ? 0 : after.toFixed(1), height: BAR }],
    ["path", { class: "hatch", d: cut ? hatching(left, y - OUTLINE / 2, before) : "M0 0" }],
    ["rect", { class: cut ? "frame" : "outline", x: left, y: y - OUTLINE / 2, width: before.toFixed(1), height: OUTLINE }],
    ["text", { class: `end axis${lit}`, x: ends[0], y, "font-size": size }, numbers[0]],
    ["text", { class: `end${cut ? " axis" : ""}${lit}`, x: ends[1], y, "font-size": size }, numbers[1]],
  ];
}

/** Fill a bar with lines that rise to the right, each cut at the bar's ends. */
function hatching(left, top, length) {
  let d = "";
  for (let from = DASHES - OUTLINE; from < length; from += DASHES) {
    const [start, end] = [Math.max(from, 0), Math.min(from + OUTLINE, length)];
    const point = (x) => `${(left + x).toFixed(1)} ${(top + OUTLINE - (x - from)).toFixed(1)}`;
    d += `M${point(start)}L${point(end)}`;
  }
  return d;
}

function shortened(name, room, size) {
  if (textWidth(name, size) <= room) return name;
  let kept = [...name];
  while (kept.length > 1 && textWidth(`${kept.join("")}…`, size) > room) kept = kept.slice(0, -1);
  return `${kept.join("")}…`;
}
