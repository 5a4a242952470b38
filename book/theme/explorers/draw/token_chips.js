/** The tokens of a text as chips with their ids, wrapped like the text. */
import { fill } from "../words.js";
import { FONT, SMALL, textWidth, visible } from "./text.js";

const HEIGHT = 42;
const GAP = 4;
const STEP = HEIGHT + 6;
const NARROWEST = 30; // pixels, as a chip of one byte is
// Room for a text in bytes, so that merging it moves nothing: as for so many bytes, but no more lines than these.
const RESERVED = { bytes: 42, lines: 6 };

/** Draw `tokens` with `ids`, those at the places `made` outlined; `origins` says bytes and pair of each. A cell is [0, line, place in the line]. */
export function token_chips({ tokens, ids, made, origins }, { width, words, chosen }) {
  const chips = tokens.map((token, place) => ({ ...origins[place], token: visible(token), id: ids[place] }));
  const lines = wrap(chips, width);
  const isNew = new Set(made.map((place) => chips[place]));
  const picked = chosen && lines[chosen[1]]?.[chosen[2]];
  const marks = chips.flatMap((chip, place) =>
    chipMarks(chip, { odd: place % 2, fresh: isNew.has(chip), lit: chip === picked }),
  );
  return {
    height: Math.max(lines.length, reserved(chips, width)) * STEP,
    marks,
    cells: makeChipCells(lines, (chip) => fill(chip.merge ? words.merged : words.byte, named(chip))),
    tables: () => [chipTable(chips, words)],
  };
}

function reserved(chips, width) {
  const bytes = chips.reduce((sum, chip) => sum + (chip.bytes.length + 1) / 3, 0);
  const inLine = Math.floor((width + GAP) / (NARROWEST + GAP));
  return Math.min(Math.ceil(Math.max(bytes, RESERVED.bytes) / inLine), RESERVED.lines);
}

function named(chip) {
  const [left, right] = chip.pair ?? [];
  return { ...chip, left, right };
}

/** Give each chip its place, from left to right; a line that is full ends. */
function wrap(chips, width) {
  const lines = [];
  let right = Infinity;
  for (const chip of chips) {
    const room = Math.max(textWidth(chip.token), textWidth(String(chip.id), SMALL)) + 10;
    chip.width = Math.min(Math.max(room, NARROWEST), width);
    if (right + GAP + chip.width > width) {
      lines.push([]);
      right = -GAP;
    }
    Object.assign(chip, { x: right + GAP, y: (lines.length - 1) * STEP + 2 });
    right = chip.x + chip.width;
    lines.at(-1).push(chip);
  }
  return lines;
}

function chipMarks({ token, id, x, y, width }, { odd, fresh, lit }) {
  const middle = x + width / 2;
  const kind = `chip${odd ? " odd" : ""}${fresh ? " fresh" : ""}${lit ? " lit" : ""}`;
  const bold = fresh || lit ? " lit" : "";
  // A token too wide for a line is pressed together.
  const pressed = textWidth(token) > width - 6 ? { textLength: width - 8, lengthAdjust: "spacingAndGlyphs" } : {};
  return [
    ["rect", { class: kind, x, y, width, height: HEIGHT, rx: 4 }],
    ["text", { class: `middle${bold}`, x: middle, y: y + 14, "font-size": FONT, ...pressed }, token],
    ["text", { class: "middle", x: middle, y: y + 31, "font-size": SMALL }, String(id)],
  ];
}

function makeChipCells(lines, say) {
  const at = ([, line, place]) => lines[line]?.[place];
  const middle = (chip) => chip.x + chip.width / 2;
  return {
    first: [0, 0, 0],
    has: (cell) => Boolean(at(cell)),
    say: (cell) => say(at(cell)),
    find(x, y) {
      const line = Math.floor(y / STEP);
      const place = (lines[line] ?? []).findIndex((chip) => x >= chip.x && x < chip.x + chip.width + GAP);
      return place < 0 ? null : [0, line, place];
    },
    /** Step along the text, also from line to line; up and down to the chip that stands nearest. */
    move(cell, [down, right]) {
      const [, line, place] = cell;
      const other = line + down;
      if (down && lines[other]) {
        const from = middle(at(cell));
        const far = lines[other].map((chip) => Math.abs(middle(chip) - from));
        return [0, other, far.indexOf(Math.min(...far))];
      }
      if (lines[line][place + right]) return [0, line, place + right];
      const next = lines[line + right];
      return next && right ? [0, line + right, right > 0 ? 0 : next.length - 1] : cell;
    },
  };
}

function chipTable(chips, words) {
  const by = ({ merge, pair }) => (merge ? `${merge}: ${pair.join(" + ")}` : "–");
  return {
    caption: words.caption,
    head: [words.token, words.id, words.in_bytes, words.by],
    rows: chips.map((chip) => [chip.token, String(chip.id), chip.bytes, by(chip)]),
  };
}
