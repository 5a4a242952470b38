/** Decoding: from scores for the next token to a whole text, with the bookkeeping of `lesson_tf.decoding`. */

/**
 * What was written: token ids, the log probability of each, and whether the end was reached. The end's log
 * probability is the last one; the beginning and the end are no part of the ids.
 */
export class Hypothesis {
  constructor(tokenIds = [], logProbabilities = [], ended = false) {
    Object.assign(this, { tokenIds, logProbabilities, ended });
  }

  get logProbability() {
    return sum(this.logProbabilities);
  }

  /** Divide the log probability by length^penalty: 0 is the sum, 1 the mean over tokens. */
  score(penalty = 1) {
    return this.logProbability / Math.max(this.logProbabilities.length, 1) ** penalty;
  }

  /** Write one more token; the end ends the text. */
  with(token, value, eosId) {
    const values = [...this.logProbabilities, value];
    return token === eosId
      ? new Hypothesis(this.tokenIds, values, true)
      : new Hypothesis([...this.tokenIds, token], values);
  }
}

/**
 * Take the most probable token at every step. `score` gets rows of token ids, all of one length, and gives the
 * log probabilities of each row's next token; `prompt` begins the text, which ends at `eosId` or after `most` tokens.
 */
export function greedy(score, { prompt, eosId, most }) {
  return write(score, { prompt, eosId, most }, (logProbabilities) =>
    logProbabilities.indexOf(Math.max(...logProbabilities)),
  );
}

/** Draw every token at random; `shape` turns log probabilities into the distribution to draw from. */
export function sample(score, shape, { prompt, eosId, most, seed }) {
  const next = uniforms(seed);
  return write(score, { prompt, eosId, most }, async (logProbabilities) =>
    draw(await shape(logProbabilities), next()),
  );
}

/** Keep the `width` best beginnings at every step; give up to `width` texts, best score first. */
export async function beamSearch(score, { prompt, eosId, most, width, penalty = 1 }) {
  const better = (a, b) => b.score(penalty) - a.score(penalty);
  let alive = [new Hypothesis()];
  const finished = [];
  for (let step = 0; step < most && alive.length; step++) {
    // At best, all further tokens are certain: the sum stays and the length grows to its bound.
    const bound = Math.max(...alive.map((text) => text.logProbability)) / most ** penalty;
    if (finished.length >= width && bound <= finished.sort(better)[width - 1].score(penalty)) break;
    const rows = await score(alive.map(({ tokenIds }) => [...prompt, ...tokenIds]));
    const longer = bestContinuations(alive, rows, width, eosId);
    finished.push(...longer.filter((text) => text.ended));
    alive = longer.filter((text) => !text.ended);
  }
  return [...finished, ...alive].sort(better).slice(0, width);
}

/** Draw an index from probabilities by a number from 0 to 1. */
export function draw(probabilities, uniform) {
  let rest = uniform * probabilities.reduce((a, b) => a + b, 0);
  let last = 0;
  for (const [index, probability] of probabilities.entries()) {
    if (probability <= 0) continue;
    last = index;
    rest -= probability;
    if (rest < 0) break;
  }
  return last;
}

/** Make a generator of numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function write(score, { prompt, eosId, most }, choose) {
  let text = new Hypothesis();
  while (!text.ended && text.tokenIds.length < most) {
    const [logProbabilities] = await score([[...prompt, ...text.tokenIds]]);
    const token = await choose(logProbabilities);
    text = text.with(token, logProbabilities[token], eosId);
  }
  return text;
}

function bestContinuations(texts, rows, width, eosId) {
  const found = texts.flatMap((text, row) => {
    const total = text.logProbability;
    return Array.from(rows[row], (value, token) => ({ text, token, value, total: total + value }));
  });
  return found
    .filter(({ value }) => value > -Infinity)
    .sort((a, b) => b.total - a.total)
    .slice(0, width)
    .map(({ text, token, value }) => text.with(token, value, eosId));
}

/** Add numbers as Python's math.fsum does (Shewchuk), so that the order of equal terms decides nothing. */
function sum(values) {
  const parts = [];
  for (let value of values) {
    let kept = 0;
    for (const part of parts) {
      const high = value + part;
      const [large, small] = Math.abs(value) < Math.abs(part) ? [part, value] : [value, part];
      const low = small - (high - large);
      if (low) parts[kept++] = low;
      value = high;
    }
    parts.splice(kept, Infinity, value);
  }
  let total = parts.pop() ?? 0;
  let rest = 0;
  while (parts.length && !rest) {
    const before = total;
    const part = parts.pop();
    total += part;
    rest = part - (total - before);
  }
  // Halfway between two numbers, the smaller parts decide.
  const next = total + 2 * rest;
  return rest * parts.at(-1) > 0 && next - total === 2 * rest ? next : total;
}
