/** Reading what Python packed: a JSON text after its length, then the arrays; all compressed. */

/** Decompress the element's script and give back its content with arrays in their places. */
export async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const content = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const data = new Uint8Array(bytes, 4 + length);
  const arrays = content.arrays.map((place) => ({ place, read: null }));
  const array = (number) => (arrays[number].read ??= readArray(arrays[number].place, data));
  return { ...content, states: content.states.map((state) => new State(state, array)) };
}

/** One state; its arrays are read when it is shown for the first time. */
class State {
  constructor(stored, array) {
    this.sentence = stored.error ?? stored.sentence;
    this.error = "error" in stored;
    this.offers = stored.offers ?? [];
    this.stored = stored.arguments;
    this.array = array;
  }

  get arguments() {
    if (this.stored) {
      this.read = fillArrays(this.stored, this.array);
      this.stored = null;
    }
    return this.read;
  }
}

function fillArrays(value, array) {
  if (Array.isArray(value)) return value.map((item) => fillArrays(item, array));
  if (value === null || typeof value !== "object") return value;
  if ("array" in value) return array(value.array);
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, fillArrays(item, array)]),
  );
}

/** Read one array as {shape, data}: low bytes before high ones, as they are or as steps down. */
export function readArray({ shape, step, start, steps }, bytes) {
  const count = shape.reduce((product, size) => product * size, 1);
  const numbers = new Int16Array(count);
  for (let i = 0; i < count; i++) {
    numbers[i] = bytes[start + i] | (bytes[start + count + i] << 8);
  }
  const data = new Float64Array(count);
  if (!steps) {
    for (let i = 0; i < count; i++) data[i] = numbers[i] * step;
    return { shape, data };
  }
  const columns = shape.at(-1) ?? 1;
  const rows = count / columns;
  for (let column = 0; column < columns; column++) {
    let number = 0;
    for (let row = 0; row < rows; row++) {
      number += numbers[column * rows + row];
      data[row * columns + column] = number * step;
    }
  }
  return { shape, data };
}
