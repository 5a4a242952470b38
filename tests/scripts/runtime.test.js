import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";

// A runtime that says what is asked of it; it refuses a second call while one is running.
const RUNTIME = `
export const env = { wasm: {} };
export class Tensor { constructor(...given) { this.given = given; } }
let busy = 0;
async function alone(result) {
  if (busy++) throw new Error("busy");
  await new Promise((done) => setTimeout(done, 5));
  busy--;
  if (result instanceof Error) throw result;
  return result;
}
export const InferenceSession = {
  create: (bytes) => alone({ size: bytes.length, env, run: (feeds) => alone(feeds) }),
};
`;
const WASM = "ort-wasm-simd-threaded.wasm";
const SIZES = { [WASM]: 900_000, "one.onnx": 100_000, "two.onnx": 40, "large.onnx": 30_000_000 };

let asked = [];
let answer = null;
let visit = 0;

/** Start anew: a module without memory, and a server that has all files. */
async function fresh() {
  const folder = mkdtempSync(join(tmpdir(), "runtime-"));
  writeFileSync(join(folder, "ort.wasm.min.mjs"), RUNTIME);
  writeFileSync(join(folder, "ort-wasm-simd-threaded.mjs"), "export default 1;");
  const address = "../../book/theme/explorers/model/runtime.js";
  const runtime = await import(`${address}?visit=${visit++}`);
  runtime.setBase(`${pathToFileURL(folder)}/`);
  return { ...runtime, folder };
}

beforeEach(() => {
  asked = [];
  answer = (name) => response(name);
  globalThis.fetch = async (url) => {
    const name = url.split("/").pop();
    asked.push(name);
    return answer(name);
  };
});

function response(name, headers = { "content-length": String(SIZES[name]) }) {
  const piece = new Uint8Array(Math.ceil(SIZES[name] / 10));
  let left = SIZES[name];
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(piece.subarray(0, Math.min(left, piece.length)));
      left -= piece.length;
      if (left <= 0) controller.close();
    },
  });
  return new Response(body, { headers });
}

test("sessions are opened once, in one runtime, with the wasm that was fetched", async () => {
  const { open } = await fresh();
  const [[one, two], [again]] = await Promise.all([open(["one", "two"]), open(["one"])]);
  assert.deepEqual([one.size, two.size], [100_000, 40]);
  assert.equal(again, one);
  assert.equal((await open(["two"]))[0], two);
  assert.equal(one.env, two.env);
  const { numThreads, wasmBinary, wasmPaths } = one.env.wasm;
  assert.deepEqual([numThreads, wasmBinary.byteLength], [1, 900_000]);
  assert.match(wasmPaths.mjs, /^file:.*ort-wasm-simd-threaded\.mjs$/);
  assert.deepEqual(asked.toSorted(), ["one.onnx", WASM, "two.onnx"]);
});

const headers = {
  "a length": undefined,
  "no length": {},
  "a length of something zipped": { "content-length": "9", "content-encoding": "gzip" },
};
for (const [what, given] of Object.entries(headers)) {
  test(`progress grows from 0 to 1 with ${what}`, async () => {
    answer = (name) => response(name, given);
    const { open } = await fresh();
    const heard = [];
    await open(["one"], (fraction) => heard.push(fraction));
    assert.ok(heard.length > 10);
    assert.deepEqual(heard, heard.toSorted((a, b) => a - b));
    assert.ok(heard[0] < 0.3 && heard.at(-2) < 1);
    assert.equal(heard.at(-1), 1);
  });
}

test("half of the bytes are about half of the progress", async () => {
  const { open } = await fresh();
  const heard = [];
  await open(["one"], (fraction) => heard.push(fraction));
  // 20 pieces, 10 of the large file: between two of them lies a tenth at most.
  assert.ok(heard.some((fraction) => fraction > 0.4 && fraction < 0.6));
});

test("progress never falls, even where a file is larger than was guessed", async () => {
  answer = async (name) => {
    if (name === "large.onnx") await new Promise((done) => setTimeout(done, 20));
    return response(name);
  };
  const { open } = await fresh();
  const heard = [];
  await open(["one", "large"], (fraction) => heard.push(fraction));
  assert.deepEqual(heard, heard.toSorted((a, b) => a - b));
  assert.ok(heard.some((fraction) => fraction > 0.9 && fraction < 1));
});

test("what failed is asked for again, and what succeeded is not", async () => {
  const { open } = await fresh();
  let failures = 2;
  answer = (name) => {
    if (name === "one.onnx" && failures-- > 0) {
      if (failures) throw new TypeError("no network");
      return new Response("", { status: 404 });
    }
    return response(name);
  };
  const heard = [];
  await assert.rejects(open(["one"], (fraction) => heard.push(fraction)), /no network/);
  assert.ok(!heard.includes(1));
  await assert.rejects(open(["one", "two"]), /404/);
  const [one] = await open(["one"]);
  assert.equal(one.size, 100_000);
  assert.deepEqual(asked.filter((name) => name === "one.onnx").length, 3);
  assert.ok(asked.filter((name) => name.endsWith(".wasm")).length <= 2);
});

test("a runtime that could not be loaded is loaded at the next attempt", async () => {
  const { open, folder } = await fresh();
  const path = join(folder, "ort-wasm-simd-threaded.mjs");
  writeFileSync(path, "throw new Error('cut off');");
  await assert.rejects(open(["one"]), /cut off/);
  writeFileSync(path, "export default 1;");
  assert.equal((await open(["one"])).length, 1);
});

test("a runtime that could not begin is replaced by a fresh one", async () => {
  const { open, folder } = await fresh();
  const path = join(folder, "ort.wasm.min.mjs");
  writeFileSync(path, RUNTIME.replace("create: ", "create: () => Promise.reject(Error('no memory')), old: "));
  await assert.rejects(open(["one"]), /no memory/);
  writeFileSync(path, RUNTIME);
  assert.equal((await open(["one"])).length, 1);
});

test("one call runs at a time, in order, and a failure stops no other", async () => {
  const { open, run } = await fresh();
  const [one, two] = await open(["one", "two"]);
  const done = [];
  const calls = [run(one, 1), run(two, new Error("bad")), run(one, 3), run(two, 4)].map((call, place) =>
    call.then(
      (result) => done.push([place, result]),
      (problem) => done.push([place, problem.message]),
    ),
  );
  await Promise.all(calls);
  assert.deepEqual(done, [[0, 1], [1, "bad"], [2, 3], [3, 4]]);
});

test("inputs are tensors of the runtime", async () => {
  const { open, idRows, tensor } = await fresh();
  await open(["one"]);
  assert.deepEqual(tensor("float32", [0.5], []).given, ["float32", [0.5], []]);
  const rows = [[1, 2, 3], [4, 5, 6]];
  assert.deepEqual(idRows(rows).given, ["int32", Int32Array.of(1, 2, 3, 4, 5, 6), [2, 3]]);
});

test("json is read once, and after a failure again", async () => {
  const { readJson } = await fresh();
  answer = () => new Response("", { status: 500 });
  await assert.rejects(readJson("words"), /500/);
  answer = () => new Response('{"a": "令"}');
  assert.deepEqual(await readJson("words"), { a: "令" });
  assert.equal(await readJson("words"), await readJson("words"));
  assert.equal(asked.length, 2);
});
