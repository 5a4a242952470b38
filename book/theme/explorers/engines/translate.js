/** A date of the reader's own: the translator writes it, and shows where each step looked. */
import { decimal, visible } from "../draw/text.js";
import { translate as run } from "../model/translator.js";
import { fill } from "../words.js";

// In the order of the control's stops.
const DECODINGS = [
  { decoding: "greedy" },
  { decoding: "beam", width: 4 },
  { decoding: "sample", temperature: 1.5, seed: 0 },
];
const END = "<eos>";
let last = { key: null, seen: null };

/** Compute the state of `explore.translate` for a text that is not shipped. */
export async function translate(values, { words, controls }, progress) {
  const stop = (name) => controls.find((each) => each.name === name).stops.indexOf(values[name]);
  const key = `${stop("decoding")} ${values.date}`;
  if (last.key !== key) {
    const seen = await run(values.date, DECODINGS[stop("decoding")], progress);
    last = { key, seen };
  }
  const { step, decoding } = values;
  return describe(last.seen, { step, head: stop("head"), decoding }, words);
}

/** Say and show one step of a translation; `head` is 0 for the mean of all heads. */
export function describe(seen, { step, head, decoding }, words) {
  const weights = lastLayer(seen.crossAttention, head);
  const [rows, columns] = weights.shape;
  const place = Math.min(step, rows) - 1;
  const row = weights.data.slice(place * columns, (place + 1) * columns);
  const named = (tokens) => tokens.map((token) => (token === END ? words.end : token));
  return {
    arguments: {
      weights,
      source_tokens: seen.sourceTokens,
      target_tokens: named(seen.targetTokens),
      probabilities: seen.probabilities,
      vocabulary: named(seen.vocabulary),
      step: place,
      title: head ? fill(words.head, { head }) : words.mean,
    },
    sentence: say(seen, row, place, decoding, words),
  };
}

function say({ targetTokens, sourceTokens, tokenProbabilities, text }, row, place, decoding, words) {
  const [token, key] = [targetTokens[place], row.indexOf(Math.max(...row))];
  const step = fill(token === END ? words.stop : words.step, {
    step: place + 1,
    token,
    chance: share(tokenProbabilities[place], words),
    source: visible(sourceTokens[key]),
    weight: decimal(row[key]),
  });
  const whole = tokenProbabilities.reduce((product, chance) => product * chance, 1);
  return fill(isDay(text) ? words.whole : words.no_day, {
    step,
    decoding,
    text: text || words.nothing,
    whole: share(whole, words),
  });
}

/** Write a probability; one that rounds to nothing is not nothing. */
function share(chance, words) {
  return chance < 0.005 ? words.little : decimal(chance);
}

/** Tell whether a text is a day of the calendar, year, month and day. */
export function isDay(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text < "0001") return false;
  // Some browsers make 2 March of 30 February, others no day.
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** Take the weights of the last layer, (target, source): of one head, or the mean of all. */
function lastLayer({ data, shape: [layers, heads, ...shape] }, head) {
  const size = shape[0] * shape[1];
  const chosen = head ? [head - 1] : Array.from({ length: heads }, (_, each) => each);
  const starts = chosen.map((each) => ((layers - 1) * heads + each) * size);
  const mean = (_, cell) => starts.reduce((sum, start) => sum + data[start + cell], 0) / starts.length;
  return { shape, data: Float64Array.from({ length: size }, mean) };
}
