/** One state of the residual stream: its place in the model, its vectors, and what was read. */
import { fill } from "../words.js";
import { makeCells } from "./cells.js";
import { MAP, mapMarks } from "./flow_map.js";
import { decimal, FONT, SMALL, textWidth, visible } from "./text.js";
import { keyMarks, outlines, rampFrame, weightMarks } from "./weight_rows.js";

const LONGEST_NORM = 80; // where bars end; what goes beyond is cut off there, and its number says so
const WIDEST_TURN = 70;
const LEFT = 58; // room for the names of the rows
const RAMP = { shape: [1, 33], data: Float64Array.from({ length: 33 }, (_, i) => i / 16 - 1) };

/** Draw one state; a cell is [0, token, 0] for its vector, [1, query, key] for its attention. */
export function residual_flow(drawn, { width, words, chosen, raster }) {
  const layout = layOut(drawn, width);
  const part = drawn.stream ? vectorPart(drawn, layout, words, raster) : outputPart(drawn, layout, words);
  const read = drawn.weights ? attention(drawn, layout, words) : null;
  const rows = drawn.tokens.length;
  const target = { x: 0, y: layout.top, rows, columns: 1, width: layout.turn.right, height: layout.row };
  const [panel, row, column] = chosen ?? [0, rows, 0];
  const there = row < rows && (panel ? read && column < drawn.keys.length : true);
  const mine = there ? chosen : [0, -1, -1];
  const says = [part.say, read?.say];
  const marks = [
    ...mapMarks(drawn.layers, drawn.place, width, words),
    ["text", { class: "title", x: 0, y: MAP + 16, "font-size": FONT }, drawn.title],
    ["text", { class: "axis start", x: 0, y: MAP + 38, "font-size": SMALL }, drawn.shape],
    ...rowNames(drawn.tokens, layout.top, layout.row, mine[1]),
    ...part.marks,
    ...(read ? read.marks(mine) : [noteMark(drawn.note, layout)]),
  ];
  return {
    height: layout.height,
    // Texts last: of two states more marks then have their kind in common, and need no new element.
    marks: [...marks.filter(([tag]) => tag !== "text"), ...marks.filter(([tag]) => tag === "text")],
    cells: makeCells(read ? [target, read.target] : [target], (panel, row, column) => says[panel](row, column)),
    tables: () => (read ? [part.table, read.table()] : [part.table]),
  };
}

/** Place the columns; beside the vectors on a wide picture, below them on a phone, stands what was read. */
function layOut({ room, tokens }, width) {
  const beside = width >= 640;
  const row = Math.max(14, Math.min(24, Math.floor((beside ? 330 : 264) / room)));
  const read = Math.min(24 * 12, row * room);
  const end = beside ? width - read - 28 : width;
  const turn = { left: end - 72, right: end };
  const norm = { left: turn.left - 94, right: turn.left - 12 };
  const top = MAP + 98;
  const below = 92; // from the last row to the first of what was read, on a phone
  const readTop = beside ? top : top + row * tokens.length + below;
  return {
    row, top, norm, turn, beside,
    vectors: { left: LEFT, right: norm.left - 12 },
    read: { left: beside ? width - read : LEFT, top: readTop, width: beside ? read : width - LEFT },
    height: top + row * room + (beside ? 0 : below + row * room) + 30,
  };
}

function rowNames(tokens, top, row, lit, kind = "") {
  const size = row < 18 ? SMALL : FONT;
  return tokens.map((token, i) => {
    const marked = i === lit ? " lit" : "";
    return ["text", { class: `end ${kind}${marked}`, x: LEFT - 8, y: top + (i + 0.5) * row, "font-size": size }, visible(token)];
  });
}

function noteMark(note, { read, top, row, beside }) {
  const y = beside ? top + row / 2 : read.top - 48;
  return ["text", { class: "axis start", x: beside ? read.left : 0, y, "font-size": SMALL }, note];
}

function vectorPart({ tokens, stream, limit, ends, norms, turns }, layout, words, raster) {
  const { left, right } = layout.vectors;
  const bottom = layout.top + tokens.length * layout.row;
  const box = { x: left, y: layout.top, width: right - left, height: bottom - layout.top };
  const stretched = { preserveAspectRatio: "none", class: "raster" };
  const ramp = { x: left + 24, y: bottom + 9, width: 64, height: 12 };
  const norm = (i) => decimal(norms.data[i], 1);
  const turn = (i) => (turns ? decimal(turns.data[i], 0) : "");
  const values = (i) => ({ token: visible(tokens[i]), norm: norm(i), turn: turn(i) });
  return {
    say: (row) => fill(turns ? words.row : words.row_first, values(row)),
    marks: [
      heading(left, layout, words.vectors),
      ["image", { ...box, href: raster(stream, limit), ...stretched }],
      ["rect", { ...box, class: "frame" }],
      ["image", { ...ramp, href: raster(RAMP, 1), ...stretched }],
      ...rampFrame(ramp, `−${ends}`, ends),
      ...barMarks(norms.data, layout.norm, LONGEST_NORM, layout, words.length, norm),
      ...(turns ? barMarks(turns.data, layout.turn, WIDEST_TURN, layout, words.turned, (i) => `${turn(i)}°`) : []),
    ],
    table: {
      caption: words.vectors,
      head: [words.token, words.length, ...(turns ? [words.turned] : [])],
      rows: tokens.map((token, i) => [visible(token), decimal(norms.data[i]), ...(turns ? [`${decimal(turns.data[i], 1)}°`] : [])]),
    },
  };
}

function outputPart({ tokens, probabilities, vocabulary, written }, layout, words) {
  const { left, right } = layout.vectors;
  const [rows, columns] = probabilities.shape;
  const most = Array.from({ length: rows }, (_, i) => Math.max(...probabilities.data.slice(i * columns, (i + 1) * columns)));
  const shape = { x: left, y: layout.top, cell: (right - left) / columns, row: layout.row, rows, columns };
  const after = written.map((token, i) => [
    "text",
    { class: "start", x: layout.turn.left, y: layout.top + (i + 0.5) * layout.row, "font-size": FONT },
    visible(token),
  ]);
  const values = (i) => ({ token: visible(tokens[i]), written: visible(written[i]), chance: decimal(most[i]) });
  return {
    say: (row) => fill(words.row_output, values(row)),
    marks: [
      ...keyMarks(vocabulary, shape, ""),
      ...weightMarks(probabilities.data, shape, () => false),
      ...barMarks(most, layout.norm, 1, layout, words.share, (i) => decimal(most[i])),
      heading(layout.turn.left, layout, words.written),
      ...after,
    ],
    table: {
      caption: words.probabilities,
      head: [words.token, words.written, words.share],
      rows: tokens.map((token, i) => [visible(token), visible(written[i]), decimal(most[i], 3)]),
    },
  };
}

function attention({ tokens, weights, keys, causal }, layout, words) {
  const [rows, columns] = weights.shape;
  const { left: x, top: y, width } = layout.read;
  const shape = { x, y, cell: Math.min(layout.row, width / columns), row: layout.row, rows, columns };
  const hidden = (row, column) => causal && column > row;
  const number = (row, column) => weights.data[row * columns + column];
  const names = (row, column) => ({ query: visible(tokens[row]), key: visible(keys[column]), weight: decimal(number(row, column)) });
  return {
    target: { x, y, rows, columns, width: shape.cell, height: shape.row },
    say: (row, column) => fill(hidden(row, column) ? words.hidden : words.cell, names(row, column)),
    marks: ([panel, row, column]) => [
      ["text", { class: "axis start", x: layout.beside ? x : 0, y: layout.beside ? MAP + 38 : y - 48, "font-size": SMALL }, words.weights],
      ...(layout.beside ? [] : rowNames(tokens, y, shape.row, row, "query")),
      ...keyMarks(keys, shape, "key", panel ? column : -1),
      ...weightMarks(weights.data, shape, hidden),
      ...(panel ? outlines(shape, row, column) : []),
    ],
    table: () => ({
      caption: words.weights,
      head: [`${words.query} ↓`, ...keys.map(visible)],
      rows: tokens.map((token, row) => [
        visible(token),
        ...keys.map((_, column) => (hidden(row, column) ? "–" : decimal(number(row, column), 3))),
      ]),
    }),
  };
}

function heading(x, { top }, text) {
  return ["text", { class: "axis start", x, y: top - 12, "font-size": SMALL }, text];
}

function barMarks(values, { left, right }, limit, layout, name, say) {
  const room = right - left - textWidth("00.0", SMALL) - 4;
  const numbers = [];
  let d = "";
  values.forEach((value, i) => {
    const y = layout.top + i * layout.row;
    const long = Math.max(0.5, Math.min(value / limit, 1) * room).toFixed(2);
    d += `M${left} ${(y + layout.row * 0.2).toFixed(1)}h${long}v${(layout.row * 0.6).toFixed(1)}h${-long}z`;
    numbers.push(["text", { class: "end", x: right, y: y + layout.row / 2, "font-size": SMALL }, say(i)]);
  });
  return [["path", { class: "bar", d }], heading(left, layout, name), ...numbers];
}
