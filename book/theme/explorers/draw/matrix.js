/** One matrix of attention weights as marks: colour is 0 to 1, hidden cells are hatched. */
import { decimal, FONT, SMALL, textWidth, visible } from "./text.js";

// From here on, dark and light figures on the colour of a weight change places (contrast 4.5).
const STRONG = { light: 0.8, dark: 0.65 };
const LEVELS = 24;

/** Draw cells as squares of their own, with numbers where there is room. */
export function matrixMarks({ x, y, cell, rows, columns, weight, hidden }) {
  const marks = [["rect", { class: "paper", x, y, width: cell * columns, height: cell * rows }]];
  const numbers = cell >= 26;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (hidden(row, column)) continue;
      const value = weight(row, column);
      const [left, top] = [x + column * cell, y + row * cell];
      const box = { x: left, y: top, width: cell, height: cell };
      marks.push(["rect", { class: "weight", ...box, "fill-opacity": value.toFixed(3) }]);
      if (numbers) marks.push(numberMark(value, left + cell / 2, top + cell / 2, cell));
    }
  }
  marks.push(frame(x, y, cell, rows, columns), hatching(x, y, cell, rows, columns, hidden));
  return marks;
}

/** Draw a small matrix: one path for all cells of like weight. */
export function smallMatrixMarks({ x, y, cell, rows, columns, weight, hidden }) {
  const paths = Array(LEVELS + 1).fill("");
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (hidden(row, column)) continue;
      const level = Math.round(weight(row, column) * LEVELS);
      if (level) paths[level] += `M${x + column * cell} ${y + row * cell}h${cell}v${cell}h${-cell}z`;
    }
  }
  const marks = [["rect", { class: "paper", x, y, width: cell * columns, height: cell * rows }]];
  paths.forEach((d, level) => {
    if (d) marks.push(["path", { class: "weight", d, "fill-opacity": (level / LEVELS).toFixed(2) }]);
  });
  marks.push(frame(x, y, cell, rows, columns), hatching(x, y, cell, rows, columns, hidden));
  return marks;
}

/** Write a weight into its cell; figures change from dark to light where the colour grows strong. */
export function numberMark(value, x, y, cell) {
  let text = decimal(value);
  if (Number(text) === 0) text = "0";
  else if (cell < 36) text = text === "1.00" ? "1" : text.replace("0.", ".");
  return ["text", { class: `number${strength(value)}`, x, y, "font-size": SMALL }, text];
}

/** Name the classes of a text that stands on the colour of a weight. */
export function strength(value) {
  return `${value > STRONG.light ? " strong-light" : ""}${value > STRONG.dark ? " strong-dark" : ""}`;
}

function frame(x, y, cell, rows, columns) {
  return ["rect", { class: "frame", x, y, width: cell * columns, height: cell * rows }];
}

function hatching(x, y, cell, rows, columns, hidden) {
  let d = "";
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!hidden(row, column)) continue;
      const [left, top] = [x + column * cell, y + row * cell];
      const half = cell / 2;
      d += `M${left} ${top + half}l${half} ${-half}M${left} ${top + cell}l${cell} ${-cell}`;
      d += `M${left + half} ${top + cell}l${half} ${-half}`;
    }
  }
  return ["path", { class: "hatch", d: d || "M0 0" }];
}

/** Label rows with queries and columns with keys, in their colours; those of a chosen cell stand out. */
export function labelMarks({ x, y, cell, queries, keys, row = -1, column = -1 }) {
  const lit = (yes) => (yes ? " lit" : "");
  return [
    ...queries.map((token, i) => [
      "text",
      { class: `query end${lit(i === row)}`, x: x - 6, y: y + (i + 0.5) * cell, "font-size": FONT },
      visible(token),
    ]),
    ...keys.map((token, i) => [
      "text",
      { ...keyPlace(token, x + (i + 0.5) * cell, y - 6, cell, lit(i === column)), "font-size": FONT },
      visible(token),
    ]),
  ];
}

/** A key stands upright where it fits above its column, and is turned where it does not. */
function keyPlace(token, x, y, cell, lit) {
  if (!mustTurn(token, cell)) return { class: `key foot${lit}`, x, y };
  return { class: `key turned${lit}`, x, y, transform: `rotate(-90 ${x} ${y})` };
}

/** Tell how much room the labels take at the left and above, for cells of this size. */
export function labelRoom(queries, keys, cell) {
  const widest = (tokens) => Math.max(FONT, ...tokens.map((token) => textWidth(visible(token))));
  const turned = keys.filter((key) => mustTurn(key, cell));
  return { left: widest(queries) + 12, top: widest(turned) + 8 };
}

const mustTurn = (key, cell) => textWidth(visible(key)) > cell - 3;

/** Outline the row and the column of a chosen cell, in the colours of query and key. */
export function chosenMarks({ x, y, cell, rows, columns, row, column }) {
  return [
    ["rect", { class: "query-line", x, y: y + row * cell, width: cell * columns, height: cell }],
    ["rect", { class: "key-line", x: x + column * cell, y, width: cell, height: cell * rows }],
  ];
}
