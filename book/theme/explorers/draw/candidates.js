/** What a step of writing expected: its most probable characters as bars. */
import { fill } from "../words.js";
import { decimal, FONT, SMALL, textWidth } from "./text.js";

const BAR = 27;
const SHOWN = 5; // the bar for all others among them
const LEFT = 58; // for the names
const NAUGHT = 0.0005; // a probability that rounds to 0.0 %
export const BARS_HEIGHT = SHOWN * BAR;

/** Give what a step expected of each token of the vocabulary. */
export function chances({ probabilities: { data }, vocabulary }, step) {
  return Array.from(data.slice(step * vocabulary.length, (step + 1) * vocabulary.length));
}

/** Choose the tokens of a step that count, the most probable first; the one that was written always does. */
export function candidates(drawn, step, others) {
  const found = chances(drawn, step).map((chance, id) => ({ chance, token: drawn.vocabulary[id] }));
  const written = found.find(({ token }) => token === drawn.target_tokens[step]);
  const likely = found.filter((each) => each.chance >= NAUGHT && each !== written);
  const best = likely.sort((a, b) => b.chance - a.chance).slice(0, SHOWN - 2);
  const shown = [...best, written].sort((a, b) => b.chance - a.chance);
  const rest = shown.reduce((left, { chance }) => left - chance, 1);
  return [...shown, { chance: Math.max(rest, 0), token: others }];
}

/** Draw them as bars from 0 to 100 %, below a title. */
export function barMarks(drawn, step, { x, y, width }, words) {
  const zero = x + LEFT;
  const scale = width - LEFT - textWidth("100.0 %", SMALL) - 8;
  const title = fill(words.expected, { step: step + 1 });
  const found = candidates(drawn, step, words.others);
  const rule = `M${zero} ${y}v${BAR * found.length}M${zero + scale} ${y}v${BAR * found.length}`;
  const marks = [
    ["text", { class: "title", x, y: y - 14, "font-size": FONT }, title],
    ["path", { class: "rule", d: rule }],
  ];
  found.forEach(({ chance, token }, row) => {
    const middle = y + (row + 0.5) * BAR;
    const box = { x: zero, y: middle - 9, width: Math.max(chance * scale, 0.5).toFixed(1), height: 18 };
    const taken = token === drawn.target_tokens[step];
    const number = chance < NAUGHT ? words.less : fill(words.percent, { number: decimal(100 * chance, 1) });
    const end = { x: zero + chance * scale + 6, y: middle, "font-size": SMALL };
    marks.push(
      ["text", { class: taken ? "query end lit" : "end", x: zero - 8, y: middle, "font-size": FONT }, token],
      ["rect", { class: "bar", ...box }],
      ...(taken ? [["rect", { class: "query-line", ...box }]] : []),
      ["text", { class: `start${taken ? " lit" : ""}`, ...end }, number],
    );
  });
  return marks;
}
