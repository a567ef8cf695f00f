// Pictures of every page for docs/dashboard.md: `npm run screenshots`. With `all FOLDER` in each theme, language and width, as PNG.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browser, page } from "./browser.mjs";
import { Network, root } from "./network.mjs";

export function places(ids, asked) {
  return [
    ["approvals", "/approvals"],
    ["approval", `/approvals/${asked}`],
    ["usage", "/usage"],
    ["datasets", "/datasets"],
    ["dataset", "/datasets/patients-private.csv"],
    ["journal", "/journal"],
    ["tasks", "/tasks"],
    ["task", `/tasks/${ids.finished}`],
    ["waiting", `/tasks/${ids.waiting}`],
    ["rounds", `/tasks/${ids.finished}`, "rounds"],
    ["log", `/tasks/${ids.finished}`, "log"],
    ["asks", `/tasks/${ids.finished}`, "asks"],
    ["result", `/tasks/${ids.finished}`, "result"],
    ["node", "/node"],
    ["network", "/network"],
  ];
}

async function settled(tab) {
  await tab.waitForSelector("main h1");
  await tab.waitForFunction(() => !document.querySelector(".waiting"), null, { timeout: 20_000 });
  await tab.waitForTimeout(150);
}

export async function visit(tab, url, [name, hash, chosen]) {
  await tab.goto(`${url}/#${hash}`);
  await tab.reload();
  await settled(tab);
  if (chosen) {
    await tab.click(`#tab-${chosen}`);
    await settled(tab);
  }
  if (name === "asks" || name === "approval") {
    await tab.locator(".buttons button[aria-pressed]").first().click();
    await tab.waitForSelector(".graph svg");
  }
  if (name === "node" && (await tab.locator("text=Run the checks").count())) {
    await tab.click("text=Run the checks");
    await settled(tab);
  }
}

async function main() {
  const [mode, folder] = process.argv.slice(2);
  const network = await Network.start();
  const chrome = await browser();
  try {
    const ids = await network.tasks();
    const [first] = network.nodes;
    const { tasks } = await first.ask("/v1/approvals");
    const asked = (tasks.find((t) => t.name === "correlation" && t.waits) ?? tasks[0]).task;
    const looks =
      mode === "all"
        ? ["light", "dark"].flatMap((theme) =>
            ["en", "zh"].flatMap((language) => [1280, 380].map((width) => ({ theme, language, width }))),
          )
        : [
            { theme: "light", language: "en", width: 1180 },
            { theme: "dark", language: "zh", width: 1180 },
            { theme: "dark", language: "en", width: 380 },
            { theme: "light", language: "zh", width: 380 },
          ];
    const into = folder ?? join(root, "docs/dashboard");
    mkdirSync(into, { recursive: true });
    let bytes = 0;
    const all = places(ids, asked).map(([name]) => name);
    const files = (name) => looks.map((look) => `${name}-${look.theme}-${look.language}-${look.width}.webp`);
    if (mode !== "all") writeFileSync(join(into, "README.md"), gallery(all, files));
    for (const look of looks) {
      const tab = await page(chrome, { ...look, height: 720 });
      for (const place of places(ids, asked)) {
        await visit(tab, first.url, place);
        const file = join(
          into,
          `${place[0]}-${look.theme}-${look.language}-${look.width}.${mode === "all" ? "png" : "webp"}`,
        );
        await shoot(tab, file, mode === "all");
        bytes += statSync(file).size;
      }
      await tab.context().close();
    }
    console.log(`${into}: ${Math.round(bytes / 1024)} KiB`);
  } finally {
    await chrome.close();
    await network.stop();
  }
}

/** The page that shows the pictures: one heading a page of the dashboard. */
function gallery(names, files) {
  const head =
    "# The dashboard's pages\n\nEach in both themes and languages, wide and narrow, over a network of three nodes; made by `npm run screenshots` in `web/`. What they are for: [the dashboard](../dashboard.md).\n";
  const pictures = (name) =>
    files(name).map(
      (file) => `<img src="${file}" width="${file.includes("1180") ? 480 : 160}" alt="${file.slice(0, -5)}">`,
    );
  return head + names.map((name) => `\n## ${name}\n\n${pictures(name).join("\n")}\n`).join("");
}

/** A whole page; as WebP, which Playwright does not write by itself, it is small enough for a repository. */
async function shoot(tab, file, png) {
  if (png) return tab.screenshot({ path: file, fullPage: true });
  const session = await tab.context().newCDPSession(tab);
  const height = Math.min(1500, await tab.evaluate(() => document.documentElement.scrollHeight));
  const width = tab.viewportSize().width;
  const clip = { x: 0, y: 0, width, height, scale: 1 };
  const options = { format: "webp", quality: 55, captureBeyondViewport: true, clip };
  const { data } = await session.send("Page.captureScreenshot", options);
  writeFileSync(file, Buffer.from(data, "base64"));
}

if (process.argv[1] === new URL(import.meta.url).pathname) await main();
