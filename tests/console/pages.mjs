// Every page, in light and dark: what axe-core finds, what the browser complains of, what it loads, and how wide it gets.

import { end, expect, faults, open, operator, origin, picture, violations } from "./browser.mjs";
import { enter, walk } from "./path.mjs";

/** The most that the first view of a page may load, uncompressed. */
const WEIGHT = 60_000;

const window = await open();
await enter(window, operator);
const { tenant } = await walk(window);
const cookies = await window.context().cookies();

const pages = {
  "sign-in": "/console/sign-in",
  activate: "/console/activate",
  home: "/console",
  license: "/console/license",
  commands: "/console/commands",
  command: `/console/commands/tenancy.children.create?tenant=${tenant.slug}`,
  coverage: "/console/coverage",
  tenants: "/console/tenants",
  tenant: `/console/tenants/${tenant.id}`,
  subscription: `/console/tenants/${tenant.id}/subscription`,
  baseline: "/console/baseline",
  signups: "/console/signups",
  onboarding: "/console/onboarding",
  audit: "/console/audit",
  verified: "/console/audit/verify",
  account: "/console/account",
  help: "/console/help/QUOTA_EXCEEDED",
  nothing: "/console/no-such-page",
};

const anonymous = ["sign-in", "activate"];
const expected = { nothing: 404 };
const weights = [];

for (const colorScheme of ["light", "dark"]) {
  for (const [name, path] of Object.entries(pages)) {
    const page = await open({ colorScheme });
    if (!anonymous.includes(name)) await page.context().addCookies(cookies);
    let weight = 0;
    page.on("response", async (response) => {
      weight += (await response.body().catch(() => "")).length;
    });
    const before = faults.length;
    const answer = await page.goto(origin + path, { waitUntil: "networkidle" });
    // That an address has nothing is told by the browser on its console as well.
    if (expected[name]) faults.length = before;
    expect(answer.status() === (expected[name] ?? 200), `${path} answers ${answer.status()}`);
    for (const violation of await violations(page)) faults.push(`${name}, ${colorScheme}: ${violation}`);
    if (weight > WEIGHT) faults.push(`${name} weighs ${weight} bytes`);
    if (colorScheme === "light") weights.push(`${name} ${weight}`);
    await picture(page, `${name}-${colorScheme}`);
    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 360) faults.push(`${name} is ${wide} wide where there are 360`);
    for (const violation of await violations(page)) faults.push(`${name}, ${colorScheme}, narrow: ${violation}`);
    if (colorScheme === "light") await picture(page, `${name}-narrow`);
    await page.context().close();
  }
}
console.log(`bytes of the first view: ${weights.join(", ")}`);
await end();
