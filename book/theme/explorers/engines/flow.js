/** The flow over a text of the reader's own: what each part of the translator left behind. */
import { flowParts } from "../draw/flow_map.js";
import { decimal, visible } from "../draw/text.js";
import { translate } from "../model/translator.js";
import { fill } from "../words.js";

let last = { text: null, seen: null };

/** Compute the state of `explore.flow` for a text that is not shipped. */
export async function flow({ text, stage }, { words, states }, progress) {
  if (last.text !== text) last = { text, seen: await translate(text, {}, progress) };
  return describe(last.seen, stage, states[0].arguments, words);
}

/** Show and say what one part left behind; a shipped state knows the layers, and where colours end. */
export function describe(seen, place, { layers, ends }, words) {
  const part = flowParts(layers)[place];
  const written = ["<bos>", ...seen.targetTokens.slice(0, -1)];
  const tokens = part.stack === "encoder" ? seen.sourceTokens : written;
  const drawn = {
    place,
    layers,
    tokens,
    ends,
    title: fill(words[`title_${variant(part)}`], { stack: words[part.stack], layer: part.layer }),
    room: Math.max(seen.sourceTokens.length, written.length),
    ...(part.kind === "output" ? output(seen, words) : { limit: Number(ends), ...vectors(seen, part, tokens, words) }),
  };
  const [rows, columns] = (drawn.stream ?? drawn.probabilities).shape;
  drawn.shape = fill(drawn.stream ? words.shape : words.shape_output, { rows, columns });
  return { arguments: drawn, sentence: say(seen, part, drawn, words) };
}

/** Name what the words tell apart: the decoder's masked attention, and the norm that makes the memory. */
function variant({ stack, kind }) {
  if (kind === "self" && stack === "decoder") return "masked";
  return kind === "norm" && stack === "encoder" ? "memory" : kind;
}

function vectors(seen, part, tokens, words) {
  const { states, norms, turns } = seen[`${part.stack}States`];
  const drawn = { stream: states[part.index], norms: row(norms, part.index) };
  if (part.index) drawn.turns = row(turns, part.index - 1);
  const kinds = { encoder: "encoderAttention", decoder: "decoderAttention" };
  if (part.kind !== "self" && part.kind !== "cross") return { ...drawn, note: words.alone };
  const cross = part.kind === "cross";
  return {
    ...drawn,
    weights: meanOfHeads(seen[cross ? "crossAttention" : kinds[part.stack]], part.layer - 1),
    keys: cross ? seen.sourceTokens : tokens,
    causal: variant(part) === "masked",
  };
}

function output({ probabilities, vocabulary, targetTokens }, words) {
  return { probabilities, vocabulary, written: targetTokens, note: words.chosen };
}

function row({ data, shape: [, length] }, index) {
  return { shape: [length], data: data.slice(index * length, (index + 1) * length) };
}

function meanOfHeads({ data, shape: [, heads, ...shape] }, layer) {
  const size = shape[0] * shape[1];
  const starts = Array.from({ length: heads }, (_, head) => (layer * heads + head) * size);
  const mean = (_, cell) => starts.reduce((sum, start) => sum + data[start + cell], 0) / heads;
  return { shape, data: Float64Array.from({ length: size }, mean) };
}

function say(seen, part, drawn, words) {
  const name = (place) => named(drawn.tokens, place, words);
  const template = words[`said_${variant(part)}`];
  if (part.kind === "output") {
    const chances = seen.tokenProbabilities;
    const least = chances.indexOf(Math.min(...chances));
    const step = { token: name(least), written: visible(drawn.written[least]), chance: decimal(chances[least]) };
    return fill(template, { text: seen.text || words.nothing, ...step });
  }
  const norms = drawn.norms.data;
  if (part.kind === "embedding") {
    const longest = largest(norms);
    return fill(template, { token: name(longest), norm: decimal(norms[longest], 1) });
  }
  const before = row(seen[`${part.stack}States`].norms, part.index - 1).data;
  if (part.kind === "norm") {
    const [low, high] = [Math.min, Math.max].map((end) => (values) => decimal(end(...values), 1));
    const ends = { before: low(before), before_most: high(before), after: low(norms), after_most: high(norms) };
    return fill(template, ends);
  }
  return fill(template, mostTurned(drawn, before, name, words));
}

function mostTurned({ turns, norms, weights, keys }, before, name, words) {
  const most = largest(turns.data);
  const values = {
    token: name(most),
    turn: decimal(turns.data[most], 0),
    before: decimal(before[most], 1),
    after: decimal(norms.data[most], 1),
  };
  if (!weights) return values;
  const read = weights.data.slice(most * keys.length, (most + 1) * keys.length);
  const key = largest(read);
  return { ...values, key: named(keys, key, words), weight: decimal(read[key]) };
}

function largest(values) {
  return values.indexOf(Math.max(...values));
}

/** Name a token, with its place where the text has it more than once. */
function named(tokens, place, words) {
  const token = visible(tokens[place]);
  const once = tokens.indexOf(tokens[place]) === tokens.lastIndexOf(tokens[place]);
  return once ? token : fill(words.named, { token, place: place + 1 });
}
