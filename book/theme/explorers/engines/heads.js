/** Heads over a text of the reader's own: the translator reads it, and shows where it looked. */
import { decimal } from "../draw/text.js";
import { translate } from "../model/translator.js";
import { Unreadable } from "../model/unreadable.js";
import { fill } from "../words.js";

const TRANSLATOR = { d_model: 64, heads: 4 };
let last = { text: null, seen: null };

/** Compute the state of `explore.heads` for a text that is not shipped. */
export async function heads(values, { words }, progress) {
  for (const name in TRANSLATOR) {
    if (values[name] !== TRANSLATOR[name]) {
      throw new Unreadable(words.translator_only, [TRANSLATOR]);
    }
  }
  if (last.text !== values.text) {
    last = { text: values.text, seen: await translate(values.text, {}, progress) };
  }
  const { seen } = last;
  const kinds = { encoder: "encoderAttention", decoder: "decoderAttention", cross: "crossAttention" };
  const weights = lastLayer(seen[kinds[values.attention]]);
  const [queries, keys] = sides(seen, values.attention);
  const drawn = { weights, queries, keys };
  if (values.attention === "decoder") drawn.mask = causal(queries.length);
  const found = strongest(drawn, values.attention === "encoder" && keys.length > 1);
  return { arguments: drawn, sentence: fill(words.own, found) };
}

function lastLayer({ data, shape: [layers, ...shape] }) {
  const size = data.length / layers;
  return { shape, data: data.slice((layers - 1) * size) };
}

function sides({ sourceTokens, targetTokens }, attention) {
  if (attention === "encoder") return [sourceTokens, sourceTokens];
  const read = attention === "cross" ? sourceTokens : ["<bos>", ...targetTokens.slice(0, -1)];
  return [targetTokens, read];
}

function causal(length) {
  const data = Array.from({ length: length ** 2 }, (_, place) => Number(place % length <= place / length));
  return { shape: [length, length], data };
}

/** Find the largest weight; of those on another token alone, where tokens may read themselves. */
function strongest({ weights: { data, shape }, queries, keys }, others) {
  const [, rows, columns] = shape;
  let best = -1;
  data.forEach((weight, place) => {
    const itself = others && Math.floor(place / columns) % rows === place % columns;
    if (!itself && !(data[best] >= weight)) best = place;
  });
  return {
    head: Math.floor(best / (rows * columns)) + 1,
    query: queries[Math.floor(best / columns) % rows],
    key: keys[best % columns],
    weight: decimal(data[best]),
  };
}
