/** The language model in the page: what comes after a prompt. */

import { BytePairs } from "./byte_pairs.js";
import { nextTokenProbabilities, SHAPING } from "./next_token.js";
import { idRows, open, readJson, run } from "./runtime.js";

const MODEL = "language_model";

let reading = null;
let last = { key: null, logits: null };

/** Load the tokenizer alone, without any model. */
export function loadTokenizer() {
  reading ??= readJson(MODEL).then(
    (data) => new BytePairs(data),
    (problem) => {
      reading = null;
      throw problem;
    },
  );
  return reading;
}

/**
 * Give the distribution of the token after a prompt, as `lesson_tf.language_model.Writer.next_token` does:
 * `probabilities` as `temperature`, `topK` and `topP` shape it, `raw` at temperature 1 and without a cut, and the
 * `names` of all tokens. `ids` and `pieces` are what the model read of the prompt. Throws Unreadable for what is no text.
 */
export async function nextToken(text, shaping = {}, onProgress = undefined) {
  const tokenizer = await loadTokenizer();
  const { end_id: endId, longest_context: longest } = tokenizer.data;
  const ids = [endId, ...tokenizer.encode(text)].slice(-longest);
  const [model] = await open([MODEL, SHAPING], onProgress);
  const key = ids.join();
  if (last.key !== key) {
    const { logits } = await run(model, { token_ids: idRows([ids]) });
    last = { key, logits: logits.data };
  }
  const { logits } = last;
  const probabilities = await nextTokenProbabilities(logits, shaping);
  const raw = await nextTokenProbabilities(logits);
  const { names } = tokenizer;
  return { ids, pieces: ids.map((id) => names[id]), probabilities, raw, names };
}
