/** Scores for the next token become the distribution to draw from, as `next_token_probabilities` makes it. */

import { open, run, tensor } from "./runtime.js";

/** The name of the model that does it. */
export const SHAPING = "next_token";

/**
 * Divide by the temperature, keep the `topK` most probable tokens, and of those the fewest that reach `topP`;
 * without a number there is no cut.
 */
export async function nextTokenProbabilities(
  logits,
  { temperature = 1, topK = null, topP = null } = {},
) {
  const [session] = await open([SHAPING]);
  const kept = Math.min(topK ?? logits.length, logits.length);
  const { probabilities } = await run(session, {
    logits: tensor("float32", logits, [1, logits.length]),
    temperature: tensor("float32", [temperature], []),
    top_k: tensor("int64", [BigInt(kept)], []),
    top_p: tensor("float32", [topP ?? 1], []),
  });
  return probabilities.data;
}
