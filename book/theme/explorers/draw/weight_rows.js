/** A matrix of weights whose cells may be of any width and height, its columns named, and what its colours mean. */
import { SMALL, textWidth, visible } from "./text.js";

const LEVELS = 16;

/** Name the columns, turned where one would reach into the next; none where cells are too narrow. */
export function keyMarks(keys, { x, y, cell }, kind, lit = -1) {
  if (cell < 9) return [];
  return keys.map((key, i) => {
    const name = visible(key);
    const [left, foot] = [x + (i + 0.5) * cell, y - 6];
    const marked = i === lit ? " lit" : "";
    const turned = textWidth(name, SMALL) > cell + 6;
    const place = turned ? { transform: `rotate(-90 ${left} ${foot})` } : {};
    return ["text", { class: `${kind}${turned ? " turned" : " foot"}${marked}`, x: left, y: foot, ...place, "font-size": SMALL }, name];
  });
}

/** Draw the cells, one path for all of like weight, hatched where hidden; below them the scale. */
export function weightMarks(data, { x, y, cell, row, rows, columns }, hidden) {
  const paths = Array(LEVELS + 1).fill("");
  let hatch = "";
  data.forEach((value, place) => {
    const [i, j] = [Math.floor(place / columns), place % columns];
    const [left, top] = [x + j * cell, y + i * row];
    if (hidden(i, j)) hatch += lines(left, top, cell, row);
    else paths[Math.round(value * LEVELS)] += `M${left.toFixed(2)} ${top}h${cell.toFixed(2)}v${row}h${(-cell).toFixed(2)}z`;
  });
  const ramp = { x: x + 24, y: y + rows * row + 9, width: 64, height: 12 };
  const box = { x, y, width: cell * columns, height: row * rows };
  return [
    ["rect", { ...box, class: "paper" }],
    ...paths.map((d, level) => ["path", { class: "weight", d: d || "M0 0", "fill-opacity": (level / LEVELS).toFixed(2) }]),
    ["path", { class: "hatch", d: hatch || "M0 0" }],
    ["rect", { ...box, class: "frame" }],
    ...Array.from({ length: 8 }, (_, i) => ["rect", { class: "weight", x: ramp.x + 8 * i, y: ramp.y, width: 8, height: 12, "fill-opacity": (i / 7).toFixed(2) }]),
    ...rampFrame(ramp, "0", "1"),
  ];
}

function lines(left, top, cell, row) {
  const [x, y] = [cell / 2, row / 2];
  return `M${left} ${top + y}l${x} ${-y}M${left} ${top + row}l${cell} ${-row}M${left + x} ${top + row}l${x} ${-y}`;
}

/** Frame a scale and name its ends. */
export function rampFrame(ramp, low, high) {
  const y = ramp.y + ramp.height / 2;
  return [
    ["rect", { ...ramp, class: "frame" }],
    ["text", { class: "end", x: ramp.x - 6, y, "font-size": SMALL }, low],
    ["text", { class: "start", x: ramp.x + ramp.width + 6, y, "font-size": SMALL }, high],
  ];
}

/** Outline the row and the column of a chosen cell. */
export function outlines({ x, y, cell, row, rows, columns }, query, key) {
  return [
    ["rect", { class: "query-line", x, y: y + query * row, width: cell * columns, height: row }],
    ["rect", { class: "key-line", x: x + key * cell, y, width: cell, height: row * rows }],
  ];
}
