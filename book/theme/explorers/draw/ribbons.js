/** Rows of single characters in boxes, and ribbons from one row to another. */
import { strength } from "./matrix.js";
import { FONT, SMALL, textWidth, visible } from "./text.js";

export const CHIP = 30; // pixels of height
const LARGEST = 34;
const LINE = 36;
const LEAST = 0.02; // thinner ribbons are dirt to the eye

/** Place characters in lines of at most `most`, each line in the middle; gives {x, y, width} for each. */
export function placeChips(count, { top, width, most }) {
  const lines = Math.ceil(count / most);
  const each = Math.ceil(count / lines); // lines of like lengths
  const size = Math.min(LARGEST, width / Math.min(each, most));
  return Array.from({ length: count }, (_, place) => {
    const line = Math.floor(place / each);
    const inLine = Math.min(each, count - line * each);
    const left = (width - inLine * size) / 2;
    return { x: left + (place % each) * size, y: top + line * LINE, width: size };
  });
}

/** Draw characters in their boxes, shaded by weights where there are any. */
export function chipMarks(tokens, places, { shades = null, kind = "", lit = -1 }) {
  return tokens.flatMap((token, i) => {
    const { x, y, width } = places[i];
    const box = { x: x + 1, y, width: width - 2, height: CHIP, rx: 3 };
    const shade = shades ? shades(i) : 0;
    const label = visible(token);
    const size = textWidth(label) > width - 4 ? SMALL : FONT;
    const style = shades ? `number${strength(shade)}` : `${kind} middle`;
    const at = { x: x + width / 2, y: y + CHIP / 2, "font-size": size };
    return [
      ["rect", { class: "paper", ...box }],
      ["rect", { class: "weight", ...box, "fill-opacity": shade.toFixed(3) }],
      ["rect", { class: "frame", ...box }],
      ["text", { class: `${style}${i === lit ? " lit" : ""}`, ...at }, label],
    ];
  });
}

/** Outline one box in the colour of a query or a key. */
export function chipLine({ x, y, width }, role) {
  return ["rect", { class: `${role}-line`, x: x + 1, y, width: width - 2, height: CHIP, rx: 3 }];
}

/** Draw what each target box reads as bands as wide as the weights: `step` strong, the others faint. */
export function ribbonMarks(above, beneath, weight, step) {
  const bands = beneath.map((target, row) => {
    let [d, end] = ["", target.x + 1];
    above.forEach((source, column) => {
      const share = weight(row, column);
      const [start, wide] = [end, share * (target.width - 2)];
      end += wide;
      if (share < LEAST) return;
      const left = source.x + (source.width - wide) / 2;
      d += band(left, start, wide, source.y + CHIP, target.y);
    });
    return d;
  });
  const faint = bands.filter((_, row) => row !== step).join("");
  return [
    ["path", { class: "ribbon faint", d: faint || "M0 0" }],
    ["path", { class: "ribbon", d: bands[step] || "M0 0" }],
  ];
}

function band(left, start, wide, top, bottom) {
  const n = (number) => number.toFixed(1);
  const middle = n((top + bottom) / 2);
  const down = `C${n(left)} ${middle} ${n(start)} ${middle} ${n(start)} ${bottom}`;
  const right = [left + wide, start + wide].map(n);
  return `M${n(left)} ${top}${down}H${right[1]}C${right[1]} ${middle} ${right[0]} ${middle} ${right[0]} ${top}z`;
}
