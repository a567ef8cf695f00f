// What strangers send and the browser reads: graphs and results, whole and damaged.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { transformWithOxc } from "vite";
import { readBundle } from "../bundle.mjs";

async function source(name) {
  const file = new URL(`../../src/${name}`, import.meta.url);
  const { code } = await transformWithOxc(readFileSync(file, "utf8"), name);
  return import(`data:text/javascript,${encodeURIComponent(code)}`);
}

const { readGraph } = await source("onnx.ts");
const { readNpz, readNpy, toCsv, toJson } = await source("npz.ts");
const asset = (name) => new Uint8Array(readFileSync(new URL(`../../../${name}`, import.meta.url)));

/** The same numbers in every run. */
function* chance(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test("graphs of bundles are read", () => {
  const { files } = readBundle(Buffer.from(asset("tests/fixtures/wages-means.delta")));
  const graph = readGraph(files.get("graphs/sums.onnx"));
  assert.ok(graph.nodes.length > 0 && graph.nodes.every((node) => node.op));
  assert.deepEqual(
    graph.inputs.map((input) => input.name),
    ["x"],
  );
  assert.deepEqual(graph.outputs.map((output) => [output.name, output.type]).sort(), [
    ["count", "f64[1]"],
    ["sum", "f64[1]"],
  ]);
});

test("a damaged graph ends in an error or a graph, soon", () => {
  const { files } = readBundle(Buffer.from(asset("tests/fixtures/iris-logistic.delta")));
  const chances = chance(7);
  const next = (below) => Math.floor(chances.next().value * below);
  for (const whole of files.values()) {
    for (let i = 0; i < 300; i += 1) {
      const bytes = Uint8Array.from(whole);
      for (let j = next(8); j >= 0; j -= 1) bytes[next(bytes.length)] = next(256);
      const cut = bytes.subarray(0, next(4) ? bytes.length : next(bytes.length));
      try {
        const graph = readGraph(cut);
        assert.ok(graph.nodes.length <= cut.length);
      } catch (error) {
        assert.ok(error instanceof Error);
        assert.ok(!(error instanceof assert.AssertionError), error.message);
      }
    }
  }
});

test("a result is what NumPy has written", async () => {
  const arrays = await readNpz(asset("assets/digits.npz"));
  const told = arrays.map((a) => [a.name, a.dtype, a.shape.join(), a.values.reduce((sum, v) => sum + Number(v), 0)]);
  // By numpy.load: dtype, shape, sum.
  assert.deepEqual(told, [
    ["x", "u8", "1797,1,8,8", 8953801],
    ["y", "u8", "1797", 8070],
  ]);
});

function npy(descr, shape, content) {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const head = `${header.padEnd(117, " ")}\n`;
  const length = new Uint8Array([head.length & 255, head.length >> 8]);
  return new Uint8Array([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    1,
    0,
    ...length,
    ...new TextEncoder().encode(head),
    ...content,
  ]);
}

test("arrays become CSV and JSON", () => {
  const numbers = new Float64Array([1, 2.5, Number.NaN, -4, 5, Number.POSITIVE_INFINITY]);
  const array = readNpy("a", npy("<f8", [2, 3], new Uint8Array(numbers.buffer)));
  assert.equal(toCsv(array), "1,2.5,NaN\n-4,5,Infinity\n");
  assert.deepEqual(JSON.parse(toJson([array])), {
    a: [
      [1, 2.5, "NaN"],
      [-4, 5, "Infinity"],
    ],
  });
  const one = readNpy("b", npy("<i8", [], new Uint8Array(new BigInt64Array([-7n]).buffer)));
  assert.deepEqual(JSON.parse(toJson([one])), { b: -7 });
  assert.throws(() => readNpy("c", npy("<f8", [1000], new Uint8Array(8))), /ends too early/);
  assert.throws(() => readNpy("d", npy("|O", [1], new Uint8Array(8))), /not shown/);
  assert.throws(() => readNpy("e", new Uint8Array(4)), /no .npy|Offset/);
});
