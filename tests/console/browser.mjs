// A browser that notes whatever a page does that it should not: messages on its console, and requests to other hosts.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [foreign, credentials, folder] = process.argv.slice(2);
export { credentials };
const require = createRequire(resolve(foreign, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** How to get in: `url`, and where there is one already `operator` and `password`. */
export const operator = JSON.parse(readFileSync(credentials, "utf8"));

/** Where the console is. Browsers take the session's cookie without TLS from `localhost` only. */
export const origin = operator.url.replace("127.0.0.1", "localhost");

/** What is wrong so far, in sentences. */
export const faults = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

/** A window of its own, without cookies. */
export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on("console", (message) => {
    // A page that says why something is refused has the status of a refusal, which the browser notes by itself.
    const refused = message.text().startsWith("Failed to load resource") && message.location().url === page.url();
    // The browser may look at a form before it is whole; tests/tests/console.rs looks at all of them.
    const hasty = message.text().startsWith("[DOM] Password forms should have (optionally hidden) username fields");
    if (!refused && !hasty) faults.push(`${page.url()}: on the console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin)) faults.push(`${page.url()}: a request to ${request.url()}`);
  });
  return page;
}

/** What axe-core finds. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id} (${help}): ${node.html.slice(0, 160)}: ${node.any[0]?.message ?? ""}`));
}

/** A picture of the whole page. */
export async function picture(page, name) {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Ends with what is wrong, or with nothing. */
export async function end() {
  await browser.close();
  for (const fault of faults) console.error(fault);
  process.exit(faults.length ? 1 : 0);
}

/** Says so when it is not so. */
export function expect(so, otherwise) {
  if (!so) throw new Error(otherwise);
}
