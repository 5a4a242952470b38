/** Lines over a common axis, each named at its end, with a band from the lowest to the highest run. */
import { fill } from "../words.js";
import { decimal, FONT, SMALL, textWidth } from "./text.js";

const HIGH = 300;
const TOP = 40;
const BELOW = 48;
const LINES = 8; // as many ways to draw a line as explorers.css has
const GAP = 18; // between the names of two lines

/** Draw `series`, values by label over `x`, of one run or several; a cell is [0, line, place]. */
export function curves(drawn, { width, words, chosen }) {
  const lines = readLines(drawn);
  const axes = makeAxes(drawn, lines, width);
  const cell = chosen && chosen[1] < lines.length && chosen[2] < lines[chosen[1]].x.length ? chosen : null;
  return {
    height: TOP + HIGH + BELOW,
    marks: [...axisMarks(drawn, axes), ...lines.flatMap((line) => lineMarks(line, axes)), ...nameMarks(lines, axes), ...(cell ? pointMarks(lines[cell[1]], cell[2], axes) : [])],
    cells: makePoints(lines, axes, words),
    tables: () => [table(drawn, lines, words)],
  };
}

const list = (array) => Array.from(array.data ?? array);

/** Read the mean, the lowest and the highest of the runs of every line. */
function readLines({ x, series }) {
  return Object.entries(series).map(([label, values], number) => {
    const place = list(Array.isArray(x) || x.data ? x : x[label]);
    const all = list(values).flat();
    const runs = all.length / place.length;
    const at = (i) => Array.from({ length: runs }, (_, run) => all[run * place.length + i]);
    const each = place.map((_, i) => at(i));
    return {
      label,
      number: number % LINES,
      x: place,
      mean: each.map((found) => found.reduce((sum, value) => sum + value, 0) / runs),
      low: each.map((found) => Math.min(...found)),
      high: each.map((found) => Math.max(...found)),
    };
  });
}

/** Make the ways from values to pixels, and the ticks of both axes. */
function makeAxes({ log_x, log_y, references }, lines, width) {
  const levels = Object.values(references ?? {});
  const xs = lines.flatMap((line) => line.x);
  const ys = [...lines.flatMap((line) => [...line.low, ...line.high]), ...levels];
  const right = Math.max(...lines.map((line) => textWidth(line.label))) + 12;
  const vertical = ticks(Math.min(...ys), Math.max(...ys), log_y);
  const left = Math.max(...vertical.map((tick) => textWidth(name(tick), SMALL))) + 12;
  const bounds = log_y ? ys : [...ys, ...vertical];
  const scaleX = scale(Math.min(...xs), Math.max(...xs), log_x, left, width - right);
  const scaleY = scale(Math.min(...bounds), Math.max(...bounds), log_y, TOP + HIGH, TOP);
  const across = log_x ? thin([...new Set(xs)], scaleX) : ticks(Math.min(...xs), Math.max(...xs), false);
  return { x: scaleX, y: scaleY, left, right: width - right, vertical, across };
}

function scale(low, high, logarithmic, from, to) {
  const grow = logarithmic ? Math.log : (value) => value;
  const span = grow(high) - grow(low) || 1;
  return (value) => from + ((grow(value) - grow(low)) / span) * (to - from);
}

/** Place about five ticks at round values, or one at each power of ten. */
function ticks(low, high, logarithmic) {
  if (logarithmic) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const count = Math.max(0, Math.floor(Math.log10(high) + 1e-9) - first + 1);
    return count ? Array.from({ length: count }, (_, i) => 10 ** (first + i)) : [low, high];
  }
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((round) => round * power >= rough - 1e-12) * power;
  const first = Math.floor(low / step + 1e-9);
  const count = Math.ceil(high / step - 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

/** Of ticks that stand too close, keep those with room for their numbers. */
function thin(values, place) {
  let end = -Infinity;
  return values.sort((a, b) => a - b).filter((value) => {
    const half = textWidth(name(value), SMALL) / 2 + 4;
    if (place(value) - half < end) return false;
    end = place(value) + half;
    return true;
  });
}

const name = (value) => Number(value.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 4 }).replace("-", "−");

function axisMarks({ xlabel, ylabel, title, references }, { x, y, left, right, vertical, across }) {
  const bottom = TOP + HIGH;
  return [
    ["text", { class: "axis", x: 0, y: 12, "font-size": FONT }, title ? `${title}: ${ylabel}` : ylabel],
    ...vertical.flatMap((tick) => [
      ["path", { class: "rule", d: `M${left} ${y(tick)}H${right}` }],
      ["text", { class: "end", x: left - 6, y: y(tick), "font-size": SMALL }, name(tick)],
    ]),
    ...across.map((tick) => ["text", { class: "middle", x: x(tick), y: bottom + 16, "font-size": SMALL }, name(tick)]),
    ["text", { class: "axis middle", x: (left + right) / 2, y: bottom + 36, "font-size": FONT }, xlabel],
    ...Object.entries(references ?? {}).flatMap(([label, level]) => [
      ["path", { class: "reference", d: `M${left} ${y(level)}H${right}` }],
      ["text", { class: "axis", x: left + 6, y: y(level) - 10, "font-size": SMALL }, label],
    ]),
  ];
}

const path = (x, values, axes) => x.map((place, i) => `${i ? "L" : "M"}${axes.x(place).toFixed(1)} ${axes.y(values[i]).toFixed(1)}`).join("");

function lineMarks({ x, mean, low, high, number }, axes) {
  const back = path([...x].reverse(), [...low].reverse(), axes).replace("M", "L");
  return [
    ["path", { class: `band line-${number}`, d: `${path(x, high, axes)}${back}z` }],
    ["path", { class: `curve line-${number}`, d: path(x, mean, axes) }],
  ];
}

/** Name the lines at their ends, apart from one another. */
function nameMarks(lines, axes) {
  const ends = lines.map((line) => ({ ...line, y: axes.y(line.mean.at(-1)) })).sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + GAP); });
  const over = Math.max(0, (ends.at(-1)?.y ?? 0) - (TOP + HIGH));
  return ends.map(({ label, number, y, x }) => ["text", { class: `name-${number}`, x: axes.x(x.at(-1)) + 8, y: y - over, "font-size": FONT }, label]);
}

function pointMarks({ x, mean, number }, place, axes) {
  return [["circle", { class: `dot name-${number}`, cx: axes.x(x[place]), cy: axes.y(mean[place]), r: 6 }]];
}

/** Make the points of the lines reachable: the nearest one to the pointer, the next one by key. */
function makePoints(lines, axes, words) {
  const has = ([, line, place]) => line < lines.length && place < lines[line].x.length;
  return {
    first: [0, 0, 0],
    has,
    say: ([, line, place]) => fill(words.cell, { line: lines[line].label, x: name(lines[line].x[place]), value: decimal(lines[line].mean[place], 3) }),
    find(left, top) {
      let best = null;
      let nearest = 30 ** 2;
      lines.forEach(({ x, mean }, line) => x.forEach((value, place) => {
        const far = (axes.x(value) - left) ** 2 + (axes.y(mean[place]) - top) ** 2;
        if (far < nearest) [best, nearest] = [[0, line, place], far];
      }));
      return best;
    },
    move([panel, line, place], [down, right]) {
      const next = [panel, Math.min(Math.max(line + down, 0), lines.length - 1), Math.max(place + right, 0)];
      return has(next) ? next : [panel, next[1], lines[next[1]].x.length - 1];
    },
  };
}

function table({ xlabel, ylabel }, lines, { lowest, highest }) {
  const rows = lines.flatMap(({ label, x, mean, low, high }) =>
    x.map((place, i) => [label, name(place), ...[mean, low, high].map((values) => decimal(values[i], 3))]),
  );
  return { caption: ylabel, head: ["", xlabel, ylabel, lowest, highest], rows };
}
