/** The translator in the page: reads a date, writes its ISO form, and shows where it looked. */

import { readDate } from "./characters.js";
import { beamSearch, greedy, sample } from "./decoding.js";
import { nextTokenProbabilities, SHAPING } from "./next_token.js";
import { idRows, open, readJson, run, tensor } from "./runtime.js";

const MODELS = ["translator_encoder", "translator_decoder"];
const UNWRITTEN = ["<pad>", "<bos>", "<eos>"];

/**
 * Translate a date as `lesson_tf.translator.Translator` does. `decoding` is "greedy", "sample" (temperature, topK,
 * topP, seed) or "beam" (width). Throws Unreadable, with a sentence, for what the model cannot read.
 *
 * Row t of `decoderAttention`, `crossAttention` and `probabilities` belongs to the step that wrote
 * `targetTokens[t]`; `encoderStates` and `decoderStates` follow both streams; `texts` are all that were written, best first. Arrays are {data, shape}.
 */
export async function translate(text, options = {}, onProgress = undefined) {
  const data = await readJson("translator");
  const { ids, tokens } = readDate(text, data);
  const sampling = options.decoding === "sample" ? [SHAPING] : [];
  const [encoder, decoder] = await open([...MODELS, ...sampling], onProgress);
  const read = await run(encoder, { source_ids: idRows([ids]) });
  const written = await write(scorer(decoder, read.memory), data, options);
  const steps = await lookBack(decoder, read.memory, written[0], data);
  return {
    text: spell(written[0], data),
    texts: written.map((hypothesis) => ({
      text: spell(hypothesis, data),
      score: hypothesis.score(),
    })),
    sourceTokens: tokens,
    ...steps,
    encoderAttention: only(read.encoder_attention, 1),
    stream: only(read.stream, 1),
    encoderStates: statesOf(read, read.memory),
    vocabulary: data.target_tokens,
  };
}

/** Make the function that scores the next token of rows of target ids. */
function scorer(decoder, memory) {
  return async (rows) => {
    const repeated = new Float32Array(rows.length * memory.data.length);
    rows.forEach((_, row) => repeated.set(memory.data, row * memory.data.length));
    const shape = [rows.length, ...memory.dims.slice(1)];
    const feeds = { target_ids: idRows(rows), memory: tensor("float32", repeated, shape) };
    const { log_probabilities: scores } = await run(decoder, feeds);
    const [, steps, vocab] = scores.dims;
    return rows.map((_, row) => {
      const end = (row + 1) * steps * vocab;
      return scores.data.subarray(end - vocab, end);
    });
  };
}

async function write(score, data, { decoding = "greedy", width = 4, seed = 0, ...shaping }) {
  const bounds = { prompt: [data.bos_id], eosId: data.eos_id, most: data.longest_target };
  if (decoding === "beam") return beamSearch(score, { ...bounds, width });
  if (decoding === "greedy") return [await greedy(score, bounds)];
  const shape = (scores) => nextTokenProbabilities(Float32Array.from(scores), shaping);
  return [await sample(score, shape, { ...bounds, seed })];
}

/** Pass the finished text through the decoder once: all steps side by side, as in training. */
async function lookBack(decoder, memory, { tokenIds, ended }, data) {
  const written = ended ? [...tokenIds, data.eos_id] : tokenIds;
  const inputs = [data.bos_id, ...written.slice(0, -1)];
  const seen = await run(decoder, { target_ids: idRows([inputs]), memory });
  const probabilities = only(seen.log_probabilities, 0);
  probabilities.data = probabilities.data.map(Math.exp);
  const vocab = data.target_tokens.length;
  return {
    targetTokens: written.map((id) => data.target_tokens[id]),
    tokenProbabilities: written.map((id, step) => probabilities.data[step * vocab + id]),
    probabilities,
    decoderAttention: only(seen.decoder_attention, 1),
    crossAttention: only(seen.cross_attention, 1),
    decoderStates: statesOf(seen, seen.last),
  };
}

/** Take all states of a stack's stream, that of its last norm too, with their norms and turns. */
function statesOf({ stream, norms, turns }, last) {
  const size = last.data.length;
  const whole = Array.from({ length: stream.dims[0] }, (_, i) => stream.data.slice(i * size, (i + 1) * size));
  const states = [...whole, last.data].map((data) => ({ data, shape: last.dims.slice(1) }));
  return { states, norms: only(norms, 1), turns: only(turns, 1) };
}

function spell({ tokenIds }, { target_tokens: tokens }) {
  const written = tokenIds.map((id) => tokens[id]);
  return written.filter((token) => !UNWRITTEN.includes(token)).join("");
}

/** Take the dimension of the batch, which has one row, from an output. */
function only({ data, dims }, axis) {
  return { data, shape: dims.filter((_, place) => place !== axis) };
}
