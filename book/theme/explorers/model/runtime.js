/** ONNX Runtime Web and the exported models, loaded at first use from the book's own folder. */

const RUNTIME = "ort.wasm.min.mjs";
const GLUE = "ort-wasm-simd-threaded.mjs";
const WASM = "ort-wasm-simd-threaded.wasm";
// About how many bytes a file has, for progress where a server does not say (it may send them zipped).
const GUESSES = { wasm: 14_200_000, onnx: 700_000, json: 20_000 };

const files = new Map();
const sizes = new Map();
const sessions = new Map();
const listeners = new Set();
let base = "";
let attempts = 0;
let starting = null;
let ort = null;
let works = false;
let queue = Promise.resolve();

/** Say once in which folder the runtime and the models stand: an absolute address that ends with a slash. */
export function setBase(address) {
  base = address;
}

/**
 * Open models by name and give their sessions; `onProgress` hears the loaded fraction, from 0 to 1.
 * Throws where something cannot be loaded, and the next call tries again.
 */
export async function open(names, onProgress = () => {}) {
  const models = names.map((name) => `${name}.onnx`);
  let most = 0;
  const listen = () => onProgress((most = Math.max(most, loaded([WASM, ...models]))));
  listeners.add(listen);
  try {
    const opened = await Promise.all(models.map(session));
    if (most) onProgress(1); // silent where nothing had to be loaded
    return opened;
  } finally {
    listeners.delete(listen);
  }
}

/** Read one of the json files beside the models. */
export function readJson(name) {
  return once(files, `${name}.json`, async (file) => (await download(file)).json());
}

/** Run a session once the calls before it are done, for the runtime serves one at a time. */
export function run(session, feeds) {
  return enqueue(() => session.run(feeds));
}

/** Make an input of a model, once `open` is done; the shape [] is a single number. */
export function tensor(type, values, shape) {
  return new ort.Tensor(type, values, shape);
}

/** Make an input of token ids: a row a text, all of one length. */
export function idRows(rows) {
  return tensor("int32", Int32Array.from(rows.flat()), [rows.length, rows[0].length]);
}

function session(file) {
  return once(sessions, file, async () => {
    starting ??= begin();
    const [bytes] = await Promise.all([load(file), starting]);
    const made = await enqueue(() => ort.InferenceSession.create(new Uint8Array(bytes)));
    files.delete(file); // the session has its own copy
    works = true;
    return made;
  }).catch((problem) => {
    files.delete(file);
    // A runtime that failed to begin never begins again: the next attempt takes a fresh one.
    if (!works) starting = null;
    throw problem;
  });
}

/** Load the runtime. Browsers may remember that a module failed, so each attempt has its own address. */
async function begin() {
  const again = attempts++ ? `?${attempts}` : "";
  const [runtime, wasmBinary] = await Promise.all([
    import(base + RUNTIME + again),
    load(WASM),
    import(base + GLUE + again),
  ]);
  const { wasm } = runtime.env;
  wasm.numThreads = 1; // more need headers that a static host does not send
  wasm.wasmPaths = { mjs: base + GLUE + again };
  wasm.wasmBinary = wasmBinary;
  ort = runtime;
}

function load(file) {
  return once(files, file, async () => (await download(file)).arrayBuffer());
}

/** Fetch a file piece by piece, and tell the listeners of each; the response given back is complete. */
async function download(file) {
  const response = await fetch(base + file);
  if (!response.ok) throw new Error(`${response.status} ${file}`);
  const { headers } = response;
  const said = headers.has("content-encoding") ? 0 : Number(headers.get("content-length"));
  const size = { loaded: 0, total: said || guess(file) };
  sizes.set(file, size);
  const pieces = [];
  const reader = response.body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    size.loaded += piece.value.length;
    for (const listen of listeners) listen();
  }
  size.total = size.loaded;
  return new Response(new Blob(pieces));
}

/** Give the fraction of some files that is loaded; the last hundredth is for opening them. */
function loaded(names) {
  const known = names.map((name) => sizes.get(name) ?? { loaded: 0, total: guess(name) });
  const total = known.reduce((sum, size) => sum + size.total, 0);
  const got = known.reduce((sum, size) => sum + Math.min(size.loaded, size.total), 0);
  return 0.99 * (got / total);
}

function guess(file) {
  return GUESSES[file.split(".").pop()];
}

/** Make something at the first call, and give the same at later ones; what failed is forgotten. */
function once(kept, name, make) {
  if (!kept.has(name)) {
    const made = make(name);
    kept.set(name, made);
    made.catch(() => kept.delete(name));
  }
  return kept.get(name);
}

function enqueue(work) {
  const result = queue.then(work);
  queue = result.catch(() => {});
  return result;
}
