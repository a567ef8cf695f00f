// Every page in Debian's Chromium, over real nodes with real tasks: what it shows, how many requests it makes, what axe finds, what it
// makes of strangers' words, by keyboard and on a narrow screen.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, page, serious } from "./browser.mjs";
import { HOSTILE, Network, program, until } from "./network.mjs";
import { places, visit } from "./screenshots.mjs";

let network;
let chrome;
let ids;
let asked;
let first;

before(async () => {
  network = await Network.start();
  chrome = await browser();
  ids = await network.tasks();
  [first] = network.nodes;
  const { tasks } = await first.ask("/v1/approvals");
  asked = tasks.find((task) => task.name === "correlation" && task.waits).task;
});

after(async () => {
  await chrome?.close();
  await network?.stop();
});

const named = (place) => place.filter(Boolean).join(" ");

test("every page is there, in few requests, without a complaint, and axe finds nothing serious", async () => {
  for (const look of [
    { theme: "light", language: "en", width: 1280 },
    { theme: "dark", language: "zh", width: 380 },
  ]) {
    const tab = await page(chrome, look);
    for (const place of places(ids, asked)) {
      await visit(tab, first.url, place);
      assert.deepEqual(tab.faults, [], `${named(place)} ${look.language}`);
      assert.deepEqual(await serious(tab), [], `${named(place)} ${look.language} ${look.theme}`);
      const { wide, shown } = await tab.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        shown: innerWidth,
      }));
      assert.ok(wide <= shown, `${named(place)} is ${wide} wide on a screen of ${shown}`);
      assert.equal(
        await tab.locator(".fault").count(),
        0,
        `${named(place)}: ${await tab.locator(".fault").allTextContents()}`,
      );
    }
    await tab.context().close();
  }
});

test("no page makes more than ten requests, and none to anybody else", async () => {
  for (const place of places(ids, asked)) {
    const tab = await page(chrome);
    await tab.goto(`${first.url}/#${place[1]}`);
    await tab.waitForSelector("main h1");
    await tab.waitForFunction(() => !document.querySelector(".waiting"));
    if (place[2]) await tab.click(`#tab-${place[2]}`);
    await tab.waitForTimeout(300);
    assert.ok(tab.calls.length <= 10, `${named(place)}: ${tab.calls.join(" ")}`);
    assert.deepEqual(
      tab.calls.filter((url) => !url.startsWith(first.url) && !url.startsWith("blob:")),
      [],
    );
    await tab.context().close();
  }
});

test("strangers' words are shown and nothing else", async () => {
  const tab = await page(chrome);
  const { tasks } = await first.ask("/v1/approvals");
  const question = tasks.find((task) => task.name.includes("onerror"));
  assert.ok(question, "the hostile task does not ask");
  for (const hash of ["/approvals", `/approvals/${question.task}`, "/usage", "/tasks", `/tasks/${ids.hostileHere}`]) {
    await tab.goto(`${first.url}/#${hash}`);
    await tab.reload();
    const name = HOSTILE.slice(0, 40);
    await tab.waitForFunction((words) => document.querySelector("main")?.textContent.includes(words), name);
    assert.equal(await tab.locator("main img, main script, main iframe").count(), 0, hash);
    assert.ok(!(await tab.title()).startsWith("owned"), hash);
    assert.equal(await tab.evaluate(() => globalThis.owned), undefined, hash);
    assert.deepEqual(tab.faults, [], hash);
    const { wide, shown } = await tab.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      shown: innerWidth,
    }));
    assert.ok(wide <= shown, `${hash} is ${wide} wide`);
  }
  await tab.goto(`${first.url}/#/tasks/${ids.hostileHere}`);
  await tab.click("#tab-asks");
  await tab.waitForFunction(
    (words) => document.querySelector(".said")?.textContent.includes(words),
    HOSTILE.slice(0, 60),
  );
  await tab.context().close();
});

test("a dataset's columns have types, and its content a version", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/datasets/patients-private.csv`);
  await tab.waitForSelector(".lead .id");
  const types = await tab.locator("tbody tr td:nth-child(2)").allTextContents();
  assert.ok(types.length >= 4 && types.slice(0, 4).every((type) => type.trim() !== ""), types.join());
  assert.match(await tab.locator(".lead .id button").getAttribute("title"), /^0x[0-9a-f]{64}$/);
  await tab.context().close();
});

test("the owner decides on the page, and the task goes on", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/approvals/${asked}`);
  await tab.click("button:has-text('Deny')");
  await tab.waitForSelector(".page-head .badge.bad");
  const { decisions } = await first.ask("/v1/approvals");
  assert.equal(decisions.at(-1).decision, "deny");
  await tab.goto(`${first.url}/#/journal`);
  await tab.waitForSelector("text=you decided");
  await tab.context().close();
});

test("a task that waits moves while its page is open, and its log follows", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/tasks/${ids.waiting}`);
  await tab.waitForSelector("text=asked first: the owners of");
  await tab.waitForSelector(".live.open");
  const loads = tab.calls.length;
  await Promise.all(network.nodes.slice(1).map((node) => node.say("wages-means", "allow")));
  await tab.waitForSelector(".page-head .badge.good");
  await tab.click("#tab-log");
  await tab.waitForSelector(".log >> text=finished");
  assert.equal(tab.calls.length, loads, "what is news comes by itself");
  await tab.click("#tab-result");
  await tab.waitForSelector(".array h3 >> text=mean");
  const shown = await tab.locator(".array").first().locator(".large").textContent();
  const wages = [6534, 4237];
  assert.ok(Number(shown.replaceAll(",", "")) > Math.min(...wages) / 3, shown);
  const [file] = await Promise.all([tab.waitForEvent("download"), tab.click("button:text-is('.csv') >> nth=0")]);
  assert.match(file.suggestedFilename(), /\.csv$/);
  await tab.click("button:has-text('Run it again')");
  await tab.waitForFunction((id) => location.hash !== `#/tasks/${id}`, ids.waiting);
  await tab.click("button:has-text('Cancel the task')");
  await tab.click(".sure .danger");
  await tab.waitForSelector(".page-head .badge:has-text('cancelled')");
  await tab.context().close();
});

test("a curve, phases and members are what the API says", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/tasks/${ids.finished}`);
  await tab.waitForSelector(".curve svg path.line");
  const { history } = await first.ask(`/v1/task/progress?task_id=${ids.finished}`);
  assert.ok(history.length > 3);
  for (const report of history) {
    const spent = report.phases.reduce((sum, span) => sum + span.seconds, 0);
    assert.ok(report.phases.length >= 4, JSON.stringify(report.phases));
    assert.ok(Math.abs(spent - report.seconds) < 0.25, `${spent} of ${report.seconds} s`);
  }
  await tab.click("#tab-rounds");
  assert.equal(await tab.locator("svg.timeline").count(), history.length);
  await tab.context().close();
});

test("everything is reached by keyboard", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/tasks`);
  await tab.waitForSelector("main table");
  // The page begins at its heading; the way around it is there for who goes back.
  await tab.locator(".skip").focus();
  await tab.keyboard.press("Enter");
  assert.equal(await tab.evaluate(() => document.activeElement?.tagName), "H1");
  await tab.locator("input[type=search]").focus();
  await tab.keyboard.type("iris");
  await tab.waitForFunction(() => document.querySelectorAll("main tbody tr").length === 1);
  await tab.locator("main tbody a").focus();
  await tab.keyboard.press("Enter");
  await tab.waitForSelector("[role=tablist]");
  await tab.locator("#tab-progress").focus();
  await tab.keyboard.press("ArrowRight");
  assert.equal(await tab.evaluate(() => document.activeElement?.id), "tab-rounds");
  assert.equal(await tab.getAttribute("#tab-rounds", "aria-selected"), "true");
  await tab.context().close();
});

test("a token opens its pages and no others, and is forgotten when it is revoked", async () => {
  const create = (name, scope) => {
    const command = ["--config", "config.yaml", "token", "create", name, "--scope", scope];
    const said = execFileSync(program(), command, { cwd: first.home, encoding: "utf8" });
    return /delta_[0-9a-f]{64}/.exec(said)[0];
  };
  const secret = create("reader", "read");
  const tab = await page(chrome);
  // A call that was passed on is trusted by no address: as from another machine.
  await tab.context().setExtraHTTPHeaders({ "x-forwarded-for": "192.0.2.1" });
  await tab.goto(first.url);
  await tab.waitForSelector("#token");
  assert.deepEqual(await serious(tab), []);
  await tab.fill("#token", `delta_${"0".repeat(64)}`);
  await tab.click("button[type=submit]");
  await tab.waitForSelector("text=the token is not known here");
  await tab.fill("#token", secret);
  await tab.click("button[type=submit]");
  await tab.waitForSelector("nav >> text=Tasks");
  assert.equal(await tab.locator("nav >> text=Approvals").count(), 0);
  await tab.goto(`${first.url}/#/approvals`);
  await tab.waitForSelector("text=It needs the scope approve.");
  const kept = await tab.evaluate(() => [sessionStorage.length, JSON.stringify(localStorage), document.cookie]);
  assert.equal(kept[0], 1);
  assert.ok(!kept[1].includes("delta_") && kept[2] === "");
  execFileSync(program(), ["--config", "config.yaml", "token", "revoke", "reader"], { cwd: first.home });
  await tab.goto(`${first.url}/#/tasks`);
  await tab.reload();
  await tab.waitForSelector("#token");
  await tab.context().close();
});

test("first paint is measured", async () => {
  const tab = await page(chrome);
  await tab.goto(`${first.url}/#/tasks`);
  await tab.waitForSelector("main table");
  const paint = await tab.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`first contentful paint: ${Math.round(paint)} ms`);
  await tab.context().close();
});

test("a node that is gone is said to be gone, and found again", async () => {
  const tab = await page(chrome);
  const third = network.nodes[2];
  await tab.goto(`${third.url}/#/tasks`);
  await tab.waitForSelector(".live.open");
  const child = network.processes[3];
  process.kill(-child.pid, "SIGTERM");
  await new Promise((end) => child.on("exit", end));
  await tab.waitForSelector("text=not live: tries again at");
  network.processes.splice(3, 1);
  network.run(join(network.folder, "hospital-3"), "run");
  await until("it to be back", () => third.ask("/readyz"));
  await tab.waitForSelector(".live.open", { timeout: 60_000 });
  await tab.context().close();
});
