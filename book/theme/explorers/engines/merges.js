/** A text of the reader's own after so many merges; no model is needed for it. */
import { visible } from "../draw/text.js";
import { loadTokenizer } from "../model/language_model.js";
import { Unreadable } from "../model/unreadable.js";
import { fill } from "../words.js";
import { checkText } from "./check_text.js";

/** Compute the state of `explore.merges` for a text that is not shipped. */
export async function merges(values, payload) {
  const text = checkText(values, payload);
  if (!text) throw new Unreadable(payload.words.nothing);
  return mergedState(await loadTokenizer(), text, values.merges, payload.words);
}

/** Cut a text by the first `count` merges of a tokenizer, and tell where each token comes from. */
export function mergedState(tokenizer, text, count, words) {
  const { made, bytes, data } = tokenizer;
  const ids = tokenizer.encode(text, count);
  const ranks = ids.map((id) => made.indexOf(id) + 1);
  // The last merge that joined something still stands there: what is joined later is not the last.
  const last = Math.max(...ranks);
  const pair = (rank) => data.merges[rank - 1].map((part) => readable(bytes[data.tokens.indexOf(part)]));
  const origin = (id, rank) => ({ bytes: hexadecimal(bytes[id]), merge: rank, ...(rank && { pair: pair(rank) }) });
  const drawn = {
    tokens: ids.map((id) => readable(bytes[id])),
    ids,
    made: last ? [...ids.keys()].filter((place) => ranks[place] === last) : [],
    origins: ids.map((id, place) => origin(id, ranks[place])),
  };
  const [left, right] = last ? pair(last) : [];
  const size = new TextEncoder().encode(text).length;
  const numbers = {
    bytes: fill(size === 1 ? words.one_byte : words.many_bytes, { count: size }),
    tokens: fill(ids.length === 1 ? words.one_token : words.many_tokens, { count: ids.length }),
    ratio: ([...text].length / ids.length).toFixed(2),
    merges: count,
    all: made.length,
  };
  const template = count ? (last ? words.joined : words.unjoined) : words.bytes_alone;
  return { arguments: drawn, sentence: fill(template, { ...numbers, last, left, right }) };
}

/** Write bytes as their text with visible spaces, or as numbers where they are none. */
export function readable(bytes) {
  const shown = visible(new TextDecoder().decode(Uint8Array.from(bytes)));
  return /[\p{C}\p{Z}\ufffd]/u.test(shown) ? hexadecimal(bytes) : shown;
}

function hexadecimal(bytes) {
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}
