/** A map of the Transformer: its parts as boxes in two lines, encoder and decoder, one of them lit. */
import { fill } from "../words.js";
import { SMALL, textWidth } from "./text.js";

const BOX = 24;
const LINES = [20, 74]; // upper edges of the boxes
const NAMES = [8, 108]; // where stacks and layers are named
const MEMORY = 57;

/** How high the map is. */
export const MAP = 118;

/** List the parts in the order of the flow: {stack, layer, kind, column, index}; index counts in its stack. */
export function flowParts([encoder, decoder]) {
  const last = 1 + 3 * Math.max(encoder, decoder);
  const stack = (name, layers, kinds) => {
    const inside = Array.from({ length: layers }, (_, layer) =>
      kinds.map(([kind, place]) => ({ kind, layer: layer + 1, column: 1 + 3 * layer + place })),
    );
    const ends = [{ kind: "embedding", layer: 0, column: 0 }, { kind: "norm", layer: 0, column: last }];
    const parts = [ends[0], ...inside.flat(), ends[1]];
    return parts.map((part, index) => ({ stack: name, index, ...part }));
  };
  const written = stack("decoder", decoder, [["self", 0], ["cross", 1], ["forward", 2]]);
  return [
    ...stack("encoder", encoder, [["self", 0], ["forward", 2]]),
    ...written,
    { stack: "decoder", layer: 0, kind: "output", column: last + 1, index: written.length },
  ];
}

/** Draw the map as wide as the picture, the part at `place` filled. */
export function mapMarks(layers, place, width, words) {
  const parts = flowParts(layers);
  const step = (width - 2) / (1 + Math.max(...parts.map((part) => part.column)));
  const middle = ({ column }) => 1 + step * (column + 0.5);
  return [
    ...["encoder", "decoder"].flatMap((name, stack) => stackMarks(parts, name, stack, { step, middle, words })),
    ...memoryMarks(parts, middle, words),
    ...parts.flatMap((part, number) => boxMarks(part, number === place, { step, x: middle(part), words })),
  ];
}

function stackMarks(parts, name, stack, { step, middle, words }) {
  const mine = parts.filter((part) => part.stack === name);
  const y = LINES[stack] + BOX / 2;
  const layers = mine.filter((part) => part.kind === "self");
  const muted = (x, text, at) => ["text", { class: `axis ${at}`, x, y: NAMES[stack], "font-size": SMALL }, text];
  return [
    ["path", { class: "pointer", d: `M${middle(mine[0])} ${y}H${middle(mine.at(-1))}` }],
    muted(1, words[name], "start"),
    ...layers.map((part) => muted(middle(part) + step, fill(words.layer, { number: part.layer }), "middle")),
  ];
}

function memoryMarks(parts, middle, words) {
  const from = middle(parts.find((part) => part.kind === "norm"));
  const crossed = parts.filter((part) => part.kind === "cross").map(middle);
  const heads = crossed.map((x) => `M${x - 4} ${LINES[1] - 7}l4 6l4 -6`).join("");
  const down = crossed.map((x) => `M${x} ${MEMORY}V${LINES[1]}`).join("");
  return [
    ["path", { class: "flow-line", d: `M${from} ${LINES[0] + BOX}V${MEMORY}H${Math.min(...crossed)}${down}${heads}` }],
    ["text", { class: "axis start", x: from + 7, y: MEMORY - 3, "font-size": SMALL }, words.memory],
  ];
}

function boxMarks({ stack, kind }, lit, { step, x, words }) {
  const y = LINES[stack === "encoder" ? 0 : 1];
  const long = words[kind];
  const short = words[`${kind}_short`] ?? long;
  const state = lit ? " lit" : "";
  return [
    ["rect", { class: `flow-part${state}`, x: x - step / 2 + 1, y, width: step - 2, height: BOX, rx: 5 }],
    ["text", { class: `middle flow-name${state}`, x, y: y + BOX / 2, "font-size": SMALL }, textWidth(long, SMALL) < step - 14 ? long : short],
  ];
}
