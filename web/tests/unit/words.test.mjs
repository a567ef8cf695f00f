// Every sentence that a page says is there in Chinese, with the same values in it, and nothing else is.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const source = new URL("../../src/", import.meta.url);
const files = readdirSync(source, { recursive: true })
  .filter((name) => /\.tsx?$/.test(name) && name !== "zh.ts")
  .map((name) => readFileSync(new URL(name, source), "utf8"));
const word = `"((?:[^"\\\\]|\\\\.)*)"`;
const said = new Set();
for (const text of files) {
  for (const call of text.matchAll(/\bt\(\s*((?:[^"();]*\?\s*)?"(?:[^"\\]|\\.)*"(?:\s*:\s*"(?:[^"\\]|\\.)*")?)/g)) {
    for (const [, sentence] of call[1].matchAll(new RegExp(word, "g"))) said.add(sentence);
  }
  for (const [, one, many] of text.matchAll(new RegExp(`\\bcounted\\(\\s*[^"]*?${word},\\s*${word}`, "g"))) {
    said.add(one);
    said.add(many);
  }
}
const zh = new Map();
const dictionary = readFileSync(new URL("zh.ts", source), "utf8");
for (const [, quoted, plain, cn] of dictionary.matchAll(new RegExp(`^  (?:${word}|(\\w+)):\\s+${word},$`, "gm"))) {
  zh.set(quoted ?? plain, cn);
}

test("every sentence is there in Chinese", () => {
  assert.ok(said.size > 200, `only ${said.size} sentences were found`);
  assert.deepEqual(
    [...said].filter((sentence) => !zh.has(sentence)),
    [],
  );
});

test("no sentence is left over", () => {
  assert.deepEqual(
    [...zh.keys()].filter((sentence) => !said.has(sentence)),
    [],
  );
});

test("both languages have the same values", () => {
  const values = (text) => [...text.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort();
  for (const [en, cn] of zh) assert.deepEqual(values(cn), values(en), en);
});
