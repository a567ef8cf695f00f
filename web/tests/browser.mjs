// Debian's Chromium, and pages that tell what went wrong in them.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function browser() {
  const given = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(given)) throw new Error(`there is no ${given}: apt install chromium, or set CHROMIUM`);
  return chromium.launch({ executablePath: given, args: ["--no-sandbox", "--force-prefers-reduced-motion"] });
}

/** A page of its own, in a theme, a language and a width. What the console complains of is in `faults`. */
export async function page(chrome, { theme = "light", language = "en", width = 1280, height = 860 } = {}) {
  const context = await chrome.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: language === "zh" ? "zh-CN" : "en-GB",
  });
  await context.addInitScript((said) => localStorage.setItem("delta-language", said), language);
  const tab = await context.newPage();
  tab.faults = [];
  tab.calls = [];
  tab.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) tab.faults.push(message.text());
  });
  tab.on("pageerror", (error) => tab.faults.push(String(error)));
  tab.on("dialog", (dialog) => tab.faults.push(`a dialog: ${dialog.message()}`));
  tab.on("request", (request) => tab.calls.push(request.url()));
  return tab;
}

/** What axe finds that is serious or worse, in a sentence each. */
export async function serious(tab) {
  // Chromium's inspector may run what the page's own policy forbids.
  await tab.evaluate(axeSource);
  const found = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)} (${n.any[0]?.message ?? v.help})`));
}
