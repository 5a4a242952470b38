/** Positional encodings three ways with one cursor: heatmap, waves, similarity up to the cursor. */
import { fill } from "../words.js";
import { decimal, FONT, SMALL } from "./text.js";

const MAP = 170; // pixels of height
const WAVE = 40;
const CURVE = 120;
const LEFT = 64;
const RIGHT = 84;
const turned = new WeakMap();

/** Draw `table` of shape (length, d_model) with the cursor at `position`; a cell is [0, 0, position]. */
export function wave_views({ table, dimensions, position, similarity, wavelengths }, { width, words, chosen, raster }) {
  const [length] = table.shape;
  const right = width < 520 ? 72 : RIGHT;
  const left = width < 520 ? 52 : LEFT;
  const scale = (width - left - right) / (length - 1);
  const at = (place) => left + place * scale;
  const wavesTop = MAP + 40;
  const curveTop = wavesTop + dimensions.length * WAVE + 26;
  const height = curveTop + CURVE + 34;
  const cursor = chosen ? chosen[2] : position;
  const marks = [
    ...mapMarks(table, dimensions, { left, scale, raster, words, width, right }),
    ...dimensions.flatMap((dimension, i) =>
      waveMarks(table, dimension, { wavelength: wavelengths[i], at, left, top: wavesTop + i * WAVE, words, width, right }),
    ),
    ...curveMarks(similarity, position, { at, left, top: curveTop, words }),
    ["path", { class: "cursor-halo", d: `M${at(cursor)} 0V${curveTop + CURVE}` }],
    ["path", { class: "cursor", d: `M${at(cursor)} 0V${curveTop + CURVE}` }],
  ];
  return { height, marks, cells: null, tables: () => [cosineTable(similarity, position, words)] };
}

function transposed(table) {
  if (!turned.has(table)) {
    const [length, width] = table.shape;
    const data = new Float64Array(length * width);
    table.data.forEach((value, place) => {
      data[(place % width) * length + Math.floor(place / width)] = value;
    });
    turned.set(table, { shape: [width, length], data });
  }
  return turned.get(table);
}

function mapMarks(table, dimensions, { left, scale, raster, words, width, right }) {
  const [length, d_model] = table.shape;
  const box = { x: left - scale / 2, y: 0, width: scale * length, height: MAP };
  const row = MAP / d_model;
  return [
    ["image", { ...box, href: raster(transposed(table), 1), preserveAspectRatio: "none", class: "raster" }],
    ["rect", { ...box, class: "frame" }],
    ...dimensions.map((dimension) => [
      "path",
      { class: "pointer", d: `M${left - scale / 2 - 7} ${(dimension + 0.5) * row}h6` },
    ]),
    ["text", { class: "axis middle", x: 14, y: MAP / 2, transform: `rotate(-90 14 ${MAP / 2})`, "font-size": FONT }, words.dimension],
    ["rect", { class: "ramp", x: width - right + 22, y: 6, width: 12, height: MAP - 12 }],
    ...["1", "0", "−1"].map((text, i) => [
      "text",
      { class: "start", x: width - right + 40, y: 12 + (i * (MAP - 24)) / 2, "font-size": SMALL },
      text,
    ]),
  ];
}

function waveMarks(table, dimension, { wavelength, at, left, top, words, width, right }) {
  const [length, d_model] = table.shape;
  const middle = top + WAVE / 2;
  let d = "";
  for (let place = 0; place < length; place++) {
    const y = middle - table.data[place * d_model + dimension] * (WAVE / 2 - 4);
    d += `${place ? "L" : "M"}${at(place).toFixed(1)} ${y.toFixed(1)}`;
  }
  return [
    ["path", { class: "rule", d: `M${left} ${middle}H${at(length - 1)}` }],
    ["path", { class: "curve", d }],
    ["text", { class: "end", x: left - 8, y: middle, "font-size": SMALL }, fill(words.dim, { number: dimension })],
    ["text", { class: "start", x: width - right + 8, y: middle, "font-size": SMALL }, fill(words.wavelength, { value: wavelength })],
  ];
}

function curveMarks(similarity, position, { at, left, top, words }) {
  const y = (value) => top + (1.25 - value) * (CURVE / 1.75);
  let d = "";
  for (let place = 0; place <= position; place++) {
    d += `${place ? "L" : "M"}${at(place).toFixed(1)} ${y(similarity.data[place]).toFixed(1)}`;
  }
  const value = similarity.data[position];
  const last = at(similarity.shape[0] - 1);
  const end = position > 0.85 * similarity.shape[0];
  const ticks = [0, 0.5, 1].map((tick) => ["text", { class: "end", x: left - 8, y: y(tick), "font-size": SMALL }, String(tick)]);
  return [
    ["text", { class: "start axis", x: left, y: top - 12, "font-size": FONT }, words.cosine],
    ["path", { class: "rule", d: `M${left} ${y(0)}H${last}M${left} ${y(1)}H${last}` }],
    ...ticks,
    ["path", { class: "curve", d }],
    ["circle", { class: "dot", cx: at(position), cy: y(value), r: 5 }],
    ["text", { class: `${end ? "end" : "start"} lit`, x: at(position) + (end ? -10 : 10), y: y(value) - 12, "font-size": FONT }, decimal(value)],
    ["text", { class: "axis middle", x: (left + last) / 2, y: top + CURVE + 18, "font-size": FONT }, words.position],
  ];
}

function cosineTable(similarity, position, words) {
  const seen = Array.from(similarity.data.slice(0, position + 1));
  return {
    caption: words.cosine,
    head: [words.position, words.cosine],
    rows: seen.map((value, place) => [String(place), decimal(value, 3)]),
  };
}
