import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { readArray, unpack } from "../../book/theme/explorers/unpack.js";

const expected = JSON.parse(readFileSync(process.env.EXPECTED, "utf-8"));

for (const { name, packed, states, controls } of expected) {
  test(`${name}: what Python packed comes out again`, async () => {
    const content = await unpack(packed);
    assert.equal(content.name, name);
    assert.deepEqual(content.controls.map((each) => each.stops), controls);
    assert.equal(content.states.length, states.length);
    states.forEach((state, place) => {
      const read = content.states[place];
      assert.equal(read.sentence, state.sentence);
      assert.equal(read.error, state.arrays === null);
      for (const [argument, { shape, data }] of Object.entries(state.arrays ?? {})) {
        const array = read.arguments[argument];
        assert.deepEqual(array.shape, shape);
        const far = data.map((value, i) => Math.abs(value - array.data[i]));
        // Half a step of rounding.
        assert.ok(Math.max(...far) <= 0.00051, `${argument}: ${Math.max(...far)}`);
      }
    });
  });
}

test("an array is read as it is, or as steps down each column", () => {
  const bytes = Uint8Array.of(1, 254, 3, 4, 0, 255, 0, 1);
  const place = { shape: [2, 2], step: 0.5, start: 0 };
  assert.deepEqual([...readArray(place, bytes).data], [0.5, -1, 1.5, 130]);
  const steps = readArray({ ...place, steps: true }, bytes);
  assert.deepEqual([...steps.data], [0.5, 1.5, -0.5, 131.5]);
});
