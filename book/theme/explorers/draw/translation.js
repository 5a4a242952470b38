/** A translation step by step: source and written characters, what one step read and expected, all steps' weights. */
import { fill } from "../words.js";
import { barMarks, BARS_HEIGHT, chances } from "./candidates.js";
import { makeCells } from "./cells.js";
import { CHIP, chipLine, chipMarks, placeChips, ribbonMarks } from "./ribbons.js";
import { numberMark } from "./matrix.js";
import { decimal, FONT, textWidth, visible } from "./text.js";

const WIDE = 540; // from here on, bars stand beside the matrix and ribbons have room
const LINES = { wide: 24, narrow: 12 }; // characters in a line
const STEPS = 11; // rows that a date and its end take
const ROW = 24;
const LEFT = 34; // for the labels of rows
const HEAD = 54; // title and labels above the matrix
const since = new WeakMap();

/** Draw `weights` (target, source) at `step`, or at the step of the row pointed at; a cell is [0, target, source]. */
export function translation(drawn, { width, words, chosen }) {
  const { weights, source_tokens: source, target_tokens: target } = drawn;
  const [rows, columns] = weights.shape;
  const cell = chosen && chosen[1] < rows && chosen[2] < columns ? chosen : null;
  const step = cell && isNewest(cell, drawn) ? cell[1] : drawn.step;
  const weight = (row, column) => weights.data[row * columns + column];
  const layout = width < WIDE ? narrow(width, rows, columns) : wide(width, rows, columns);
  const { above, beneath, matrix, bars } = layout;
  const shades = (column) => weight(step, column);
  const marks = [
    rowName(words.source, above),
    rowName(words.written, beneath),
    ...(layout.ribbons ? ribbonMarks(above, beneath, weight, step) : []),
    ...chipMarks(source, above, { shades }),
    ...chipMarks(target, beneath, { kind: "query", lit: step }),
    chipLine(beneath[step], "query"),
    ...(cell ? [chipLine(above[cell[2]], "key")] : []),
    ...barMarks(drawn, step, bars, words),
    ["text", { class: "title", x: 0, y: matrix.y - 42, "font-size": FONT }, drawn.title],
    ...matrixMarks(matrix, weight),
    ...labelMarks(matrix, source, target, step, cell),
    ...lineMarks(matrix, step, cell),
  ];
  const say = (_, row, column) =>
    fill(words.cell, {
      token: target[row],
      source: visible(source[column]),
      weight: decimal(weight(row, column)),
      chance: decimal(chances(drawn, row)[drawn.vocabulary.indexOf(target[row])]),
    });
  const tables = () => writeTables(drawn, weight, words);
  return { height: layout.height, marks, cells: pointable(layout, weight, step, say), tables };
}

/** Name a row of chips: before it where there is room, else above. */
function rowName(name, [{ x, y }]) {
  if (x < textWidth(name) + 12) return ["text", { class: "axis", x: 0, y: y - 13, "font-size": FONT }, name];
  return ["text", { class: "axis end", x: x - 10, y: y + CHIP / 2, "font-size": FONT }, name];
}

/** Tell whether a cell was pointed at in this state: a control that is moved later has the last word. */
function isNewest(cell, drawn) {
  if (!since.has(cell)) since.set(cell, drawn);
  if (since.get(cell) !== drawn) since.set(cell, null);
  return since.get(cell) === drawn;
}

function wide(width, rows, columns) {
  const above = placeChips(columns, { top: 20, width, most: LINES.wide });
  const beneath = placeChips(rows, { top: 146, width, most: rows });
  const room = Math.round(Math.min(Math.max(width * 0.32, 190), 236));
  const top = 190 + HEAD;
  const matrix = place({ top, width: width - room - 32, rows, columns });
  const bars = { x: width - room, y: top - 28, width: room }; // titles in one line
  return { above, beneath, matrix, bars, ribbons: columns <= LINES.wide, height: below(matrix) };
}

function narrow(width, rows, columns) {
  const lines = Math.max(2, Math.ceil(columns / LINES.narrow)); // two, so that little jumps
  const above = placeChips(columns, { top: 20, width, most: LINES.narrow });
  const beneath = placeChips(rows, { top: 20 + lines * 36 + 22, width, most: rows });
  const bars = { x: 0, y: beneath[0].y + CHIP + 48, width };
  const top = bars.y + BARS_HEIGHT + 14 + HEAD;
  const matrix = place({ top, width, rows, columns });
  return { above, beneath, matrix, bars, ribbons: false, height: below(matrix) };
}

function place({ top, width, rows, columns }) {
  const size = Math.min(40, (width - LEFT - 1) / columns);
  return { x: LEFT, y: top, rows, columns, width: size, height: ROW };
}

const below = ({ y, rows }) => y + Math.max(rows, STEPS) * ROW + 4;

function matrixMarks({ x, y, rows, columns, width, height }, weight) {
  const box = { x, y, width: width * columns, height: height * rows };
  const marks = [["rect", { class: "paper", ...box }]];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [value, left, top] = [weight(row, column), x + column * width, y + row * height];
      if (value < 0.0005) continue;
      marks.push(["rect", { class: "weight", x: left, y: top, width, height, "fill-opacity": value.toFixed(3) }]);
      if (width >= 26 && value >= 0.005) {
        marks.push(numberMark(value, left + width / 2, top + height / 2, width));
      }
    }
  }
  return [...marks, ["rect", { class: "frame", ...box }]];
}

function labelMarks({ x, y, width, height }, source, target, step, cell) {
  const lit = (yes) => (yes ? " lit" : "");
  const room = source.every((token) => textWidth(visible(token)) <= width + 1);
  const rows = target.map((token, row) => {
    const style = { class: `query end${lit(row === step)}`, x: x - 6, y: y + (row + 0.5) * height };
    return ["text", { ...style, "font-size": FONT }, token];
  });
  const columns = source.map((token, column) => {
    const style = { class: `key middle${lit(column === cell?.[2])}`, x: x + (column + 0.5) * width };
    return ["text", { ...style, y: y - 14, "font-size": FONT }, visible(token)];
  });
  return room ? [...rows, ...columns] : rows;
}

function lineMarks({ x, y, rows, columns, width, height }, step, cell) {
  const row = { x, y: y + step * height, width: columns * width, height };
  const marks = [["rect", { class: "query-line", ...row }]];
  if (!cell) return marks;
  const [, down, right] = cell;
  const column = { x: x + right * width, y, width, height: rows * height };
  const other = { ...row, y: y + down * height };
  if (down !== step) marks.push(["rect", { class: "query-line", ...other }]);
  return [...marks, ["rect", { class: "key-line", ...column }]];
}

/** Let matrix and chips be pointed at: a written character means what it read most, a source one the step's weight. */
function pointable({ above, beneath, matrix }, weight, step, say) {
  const chip = ({ x, y, width }) => ({ x, y, rows: 1, columns: 1, width, height: CHIP });
  const most = (row) => {
    const read = above.map((_, column) => weight(row, column));
    return read.indexOf(Math.max(...read));
  };
  const wrap = ([panel, row, column]) => {
    if (!panel) return [panel, row, column];
    if (panel > above.length) return [0, panel - above.length - 1, most(panel - above.length - 1)];
    return [0, step, panel - 1];
  };
  const { find } = makeCells([matrix, ...above.map(chip), ...beneath.map(chip)], say, wrap);
  return { ...makeCells([matrix], say), first: [0, step, most(step)], find };
}

function writeTables(drawn, weight, words) {
  const { source_tokens: source, target_tokens: target, vocabulary, title } = drawn;
  const expected = target.map((token, step) => [token, ...chances(drawn, step).map((value) => decimal(value, 3))]);
  return [
    {
      caption: title,
      head: [`${words.written} ↓`, ...source.map(visible)],
      rows: target.map((token, row) => [token, ...source.map((_, column) => decimal(weight(row, column), 3))]),
    },
    { caption: words.chances, head: [`${words.written} ↓`, ...vocabulary], rows: expected },
  ];
}
