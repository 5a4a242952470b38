/** The next token after a prompt of the reader's own, as the language model gives it and as it is shaped. */
import { decimal, percent, thousands, visible } from "../draw/text.js";
import { nextToken } from "../model/language_model.js";
import { fill } from "../words.js";
import { checkText } from "./check_text.js";

const SHOWN = 10;

/** Compute the state of `explore.next_token` for a prompt that is not shipped. */
export async function next_token(values, payload, progress) {
  const prompt = checkText(values, payload);
  const { temperature, top_k: topK, top_p: topP } = values;
  const { probabilities, raw, names } = await nextToken(prompt, { temperature, topK, topP }, progress);
  return shapedState({ probabilities, raw, names }, values, payload.words);
}

/** Rank the tokens, keep the first ten, and say what the shaping did; all arrays are over the vocabulary. */
export function shapedState({ probabilities, raw, names }, { temperature, top_k: topK, top_p: topP }, words) {
  const vocabulary = raw.length;
  const ranking = Array.from(raw.keys()).sort((a, b) => raw[b] - raw[a]).slice(0, SHOWN);
  // Where nothing is cut by its share, what is too improbable for a float is still not cut.
  const kept = topP === 1 ? Math.min(topK, vocabulary) : probabilities.filter((share) => share > 0).length;
  const tokens = ranking.map((id) => visible(names[id]));
  const numbers = {
    kept: thousands(kept),
    vocabulary: thousands(vocabulary),
    token: tokens[0],
    before: percent(raw[ranking[0]]),
    after: percent(probabilities[ranking[0]]),
    entropy_before: decimal(entropy(raw)),
    entropy_after: decimal(entropy(probabilities)),
  };
  const plain = kept === vocabulary && temperature === 1;
  const template = kept === 1 ? words.one : plain ? words.plain : words.shaped;
  const [before, after] = [raw, probabilities].map((shares) => withOthers(shares, ranking));
  return { arguments: { tokens, before, after, kept, vocabulary }, sentence: fill(template, numbers) };
}

function withOthers(shares, ranking) {
  const shown = ranking.map((id) => shares[id]);
  const others = Math.max(0, sum(shares) - sum(shown));
  return { shape: [shown.length + 1], data: Float64Array.from([...shown, others]) };
}

function entropy(shares) {
  return sum(Array.from(shares, (share) => (share > 0 ? -share * Math.log(share) : 0)));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
