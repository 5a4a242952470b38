/** Byte-level byte-pair encoding, as `lesson_tf.byte_pair_encoding.BPETokenizer` does it. */

import { fill } from "../words.js";
import { Unreadable, wellFormed } from "./unreadable.js";

// GPT-2's cut. JavaScript's own \s has U+FEFF besides, and lacks U+0085.
const WORD =
  /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const KEPT_WORDS = 20_000;
const NONE = 0x7fffffff; // a rank after all others: the pair is never joined

/** Give each byte its visible character: its own where it has one, else the next from U+0100 on. */
function byteSymbols() {
  const visible = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let hidden = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(visible(byte) ? byte : hidden++),
  );
}

/** A vocabulary and its merges; `data` is language_model.json. */
export class BytePairs {
  constructor(data) {
    const ids = new Map(data.tokens.map((token, id) => [token, id]));
    const symbols = byteSymbols();
    const bytes = new Map(symbols.map((symbol, byte) => [symbol, byte]));
    this.data = data;
    this.byteIds = symbols.map((symbol) => ids.get(symbol));
    this.made = data.merges.map(([left, right]) => ids.get(left + right));
    this.ranks = new Map(
      data.merges.map(([left, right], rank) => [this.key(ids.get(left), ids.get(right)), rank]),
    );
    // Special tokens are never made from text, and stand for no bytes.
    const spelled = new Set([...this.byteIds, ...this.made]);
    this.bytes = data.tokens.map((token, id) =>
      spelled.has(id) ? [...token].map((symbol) => bytes.get(symbol)) : [],
    );
    this.known = new Map();
    this.knownMerges = 0;
  }

  /** Cut a text into ids by the first `merges` merges, or by all; throws Unreadable for half a character. */
  encode(text, merges = this.made.length) {
    if (merges !== this.knownMerges || this.known.size > KEPT_WORDS) {
      this.known.clear();
      this.knownMerges = merges;
    }
    const ids = [];
    for (const word of this.words(text)) {
      if (!this.known.has(word)) this.known.set(word, this.encodeWord(word, merges));
      for (const id of this.known.get(word)) ids.push(id);
    }
    return ids;
  }

  /**
   * List the merges that join something in a text as {merges, id, count}: how many merges are done by then,
   * which token the last of them made, and how many tokens are left.
   */
  steps(text) {
    const joins = new Map();
    const words = new Map();
    for (const word of this.words(text)) words.set(word, (words.get(word) ?? 0) + 1);
    let count = 0;
    for (const [word, times] of words) {
      const join = (rank, found) => joins.set(rank, (joins.get(rank) ?? 0) + times * found);
      count += times * new TextEncoder().encode(word).length;
      this.encodeWord(word, this.made.length, join);
    }
    const ranks = [...joins.keys()].sort((a, b) => a - b);
    return ranks.map((rank) => {
      count -= joins.get(rank);
      return { merges: rank + 1, id: this.made[rank], count };
    });
  }

  /** Join the bytes of ids; bytes that are no whole character become the sign �. */
  decode(ids) {
    const bytes = Uint8Array.from(Array.from(ids, (id) => this.bytes[id]).flat());
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  /** Show a token as `Writer.name` does; bytes that are no whole character are shown as they are stored. */
  name(id) {
    const token = this.data.tokens[id];
    if (!this.bytes[id].length) return token;
    const text = this.decode([id]);
    return text.includes("\ufffd") ? `<byte ${token}>` : text;
  }

  /** The names of all tokens, in the order of the ids. */
  get names() {
    this.named ??= this.data.tokens.map((_, id) => this.name(id));
    return this.named;
  }

  /** Cut a text into words, each with the space before it; no merge crosses such a cut. */
  words(text) {
    if (wellFormed(text) !== text) {
      throw new Unreadable(fill(this.data.words?.half ?? "{character}", { character: "\ufffd" }));
    }
    return text.match(WORD) ?? [];
  }

  key(left, right) {
    return left * this.data.tokens.length + right;
  }

  /** Apply merges to one word, the earliest learned first; `join(rank, times)` hears of each. */
  encodeWord(word, merges, join) {
    const ids = Int32Array.from(new TextEncoder().encode(word), (byte) => this.byteIds[byte]);
    const rank = (left, right) => {
      const found = this.ranks.get(this.key(left, right));
      return found < merges ? found : NONE;
    };
    const ranks = ids.map((id, i) => (i + 1 < ids.length ? rank(id, ids[i + 1]) : NONE));
    let length = ids.length;
    for (;;) {
      let best = NONE;
      for (let i = 0; i + 1 < length; i++) if (ranks[i] < best) best = ranks[i];
      if (best === NONE) return ids.slice(0, length);
      const shorter = joinPair(ids, ranks, length, best, this.made[best], rank);
      join?.(best, length - shorter);
      length = shorter;
    }
  }
}

/** Put the new id wherever the pair of this rank stands, from left to right and in place; return the new length. */
function joinPair(ids, ranks, length, best, made, rank) {
  let to = 0;
  for (let from = 0; from < length; to++) {
    const found = from + 1 < length && ranks[from] === best;
    ids[to] = found ? made : ids[from];
    // Only the neighbours of the new token are new pairs; all others keep their rank.
    const isNew = to > 0 && (found || ids[to - 1] === made);
    if (isNew) ranks[to - 1] = rank(ids[to - 1], ids[to]);
    from += found ? 2 : 1;
    ranks[to] = ranks[from - 1];
  }
  return to;
}
