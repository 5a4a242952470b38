/** The translator's reading: signs unified, then one token a character (a Unicode code point). */

import { fill } from "../words.js";
import { Unreadable, wellFormed } from "./unreadable.js";

// What Python's str.split takes for white space; JavaScript's \s has U+FEFF besides, and lacks six of these.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "u");
const UNSEEN = new RegExp(`(?![${SPACE}])[\\p{Cc}\\p{Cf}]`, "gu");

/** Unify signs that mean the same, as `lesson_tf.dates.normalize` does; `data` is translator.json. */
export function normalize(text, { alike, quotes }) {
  const unified = Array.from(text.normalize("NFKC"), (character) => alike[character] ?? character);
  const words = unified.join("").replace(UNSEEN, "").split(SPACES);
  return strip(words.filter(Boolean).join(" "), `${quotes} `);
}

/** Give each character of a date its id; throws Unreadable, with a sentence, for what cannot be read. */
export function readDate(text, data) {
  const characters = [...normalize(wellFormed(text), data)];
  const { words, longest_source: most, source_tokens: tokens } = data;
  if (!characters.length) {
    throw new Unreadable(words.nothing);
  }
  if (characters.length > most) {
    throw new Unreadable(fill(words.too_long, { count: characters.length, most }));
  }
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const unknown = new Set(characters.filter((character) => !ids.has(character)));
  if (unknown.size) {
    throw new Unreadable(fill(words.unknown, { characters: [...unknown].join(" ") }));
  }
  return { ids: characters.map((character) => ids.get(character)), tokens: characters };
}

/** Take characters of a set off both ends; all of them stand in the basic plane. */
function strip(text, set) {
  let [start, end] = [0, text.length];
  while (start < end && set.includes(text[start])) start++;
  while (end > start && set.includes(text[end - 1])) end--;
  return text.slice(start, end);
}
