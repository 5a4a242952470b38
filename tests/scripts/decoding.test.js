import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  beamSearch,
  draw,
  greedy,
  Hypothesis,
  sample,
  uniforms,
} from "../../book/theme/explorers/model/decoding.js";

const { cases, sums } = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));

/** Score rows by the step and the last two tokens. */
function scorer(table) {
  return async (rows) =>
    rows.map((row) => {
      const place = row.length - 1;
      const values = table[place][row[Math.max(0, place - 1)]][row[place]];
      return Float64Array.from(values, (value) => value ?? -Infinity);
    });
}

function assertWritten(text, wanted, penalty) {
  assert.deepEqual([text.tokenIds, text.ended], [wanted.tokenIds, wanted.ended]);
  assert.ok(Math.abs(text.score(penalty) - wanted.score) < 1e-6);
}

test("beam search writes what Python's writes, in its order, with ties", async () => {
  assert.ok(cases.length >= 300);
  for (const { table, beams, steps, ...settings } of cases) {
    let calls = 0;
    const score = (rows) => ++calls && scorer(table)(rows);
    const texts = await beamSearch(score, settings);
    assert.equal(calls, steps);
    assert.equal(texts.length, beams.length);
    texts.forEach((text, place) => assertWritten(text, beams[place], settings.penalty));
  }
});

test("greedy decoding writes what Python's writes", async () => {
  for (const { table, greedy: wanted, ...settings } of cases) {
    assertWritten(await greedy(scorer(table), settings), wanted, settings.penalty);
  }
});

test("log probabilities add up to the last bit, as in Python, so that ties are the same ties", () => {
  for (const [terms, total] of sums) {
    assert.equal(new Hypothesis([], terms).logProbability, total);
  }
});

test("samples follow the distribution they are drawn from", async () => {
  const log = [0.5, 0, 0.2, 0.3].map(Math.log);
  const score = async (rows) => rows.map(() => log);
  const shape = async (scores) => scores.map(Math.exp);
  const settings = { prompt: [0], eosId: null, most: 4000, seed: 1 };
  const text = await sample(score, shape, settings);
  const shares = log.map((_, id) => text.tokenIds.filter((found) => found === id).length / 4000);
  // Five standard deviations of a share of 4000 draws are below 0.04.
  [0.5, 0, 0.2, 0.3].forEach((share, id) => assert.ok(Math.abs(shares[id] - share) < 0.04));
  assert.equal(shares[1], 0);
  assert.deepEqual((await sample(score, shape, settings)).tokenIds, text.tokenIds);
  assert.notDeepEqual(
    (await sample(score, shape, { ...settings, seed: 2 })).tokenIds,
    text.tokenIds,
  );
  assert.ok(text.logProbabilities.every((value, step) => value === log[text.tokenIds[step]]));
});

test("a draw never takes what cannot be, even at the ends", () => {
  assert.equal(draw([0, 0.25, 0, 0.75, 0], 0), 1);
  assert.equal(draw([0, 0.25, 0, 0.75, 0], 0.2499), 1);
  assert.equal(draw([0, 0.25, 0, 0.75, 0], 0.25), 3);
  assert.equal(draw([0, 0.25, 0, 0.75, 0], 1 - 2 ** -53), 3);
  const next = uniforms(5);
  for (let i = 0; i < 1000; i++) {
    // So many that the sum rounds: what is left at the end is no one's.
    const probabilities = [...Array.from({ length: 40 }, () => Math.exp(-9 * next())), 0];
    assert.equal(draw(probabilities, 1 - 2 ** -53), 39);
  }
});

test("uniform numbers fill the range evenly, and a seed gives them again", () => {
  const [next, again, other] = [uniforms(7), uniforms(7), uniforms(8)];
  const drawn = Array.from({ length: 20_000 }, next);
  assert.deepEqual(drawn, Array.from({ length: 20_000 }, again));
  assert.ok(drawn[0] !== other());
  assert.ok(drawn.every((value) => value >= 0 && value < 1));
  const bins = Array(20).fill(0);
  for (const value of drawn) bins[Math.floor(value * 20)]++;
  // Chi-squared with 19 degrees of freedom is below 60 with probability 0.999996.
  assert.ok(bins.reduce((total, count) => total + (count - 1000) ** 2 / 1000, 0) < 60);
});
