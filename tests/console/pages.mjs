// Every page, in light and dark: what axe-core finds, what the browser complains of, what it loads, and how wide it gets.

import { dirname, join } from "node:path";

import { credentials, end, expect, faults, open, origin, picture, violations } from "./browser.mjs";
import { enter, press, said, walk } from "./path.mjs";

/** The most that the first view of a page may load, uncompressed. */
const WEIGHT = 60_000;

const window = await open();
await enter(window);
const { tenant } = await walk(window);
const cookies = await window.context().cookies();

// The log is followed live: what happens elsewhere arrives by itself.
await window.goto(`${origin}/console/audit`);
await window.getByRole("button", { name: "Follow live" }).click();
const elsewhere = await open();
await elsewhere.context().addCookies(cookies);
await elsewhere.goto(`${origin}/console/tenants/${tenant.id}`);
await elsewhere.getByRole("button", { name: "Export the register" }).click();
await window.locator("tr.arrived", { hasText: "tenancy.tenants.export" }).first().waitFor();
await window.getByRole("button", { name: "Stop following" }).click();
await elsewhere.context().close();

// A link's token goes from behind its # into the form, and out of the address.
await window.goto(`${origin}/console/activate#not-a-token`);
expect((await window.getByLabel("Token of your link").inputValue()) === "not-a-token", "the token is in the form");
expect(!window.url().includes("#"), "the token is no longer in the address");
await window.getByRole("button", { name: "Continue" }).click();
expect((await said(window)).includes("Nothing here"), "a token that is none is refused");

const pages = {
  "sign-in": "/console/sign-in",
  activate: "/console/activate",
  signup: "/console/signup/confirm",
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

const anonymous = ["sign-in", "activate", "signup"];
const expected = { nothing: 404 };
const weights = [];

for (const colorScheme of ["light", "dark"]) {
  for (const [name, path] of Object.entries(pages)) {
    const page = await open({ colorScheme });
    if (!anonymous.includes(name)) await page.context().addCookies(cookies);
    const loaded = [];
    page.on("response", (response) => loaded.push(response.body()));
    const answer = await page.goto(origin + path, { waitUntil: "networkidle" });
    const weight = (await Promise.all(loaded)).reduce((sum, body) => sum + body.length, 0);
    expect(answer.status() === (expected[name] ?? 200), `${path} answers ${answer.status()}`);
    await looked(page, `${name}-${colorScheme}`);
    if (weight > WEIGHT) faults.push(`${name} weighs ${weight} bytes`);
    if (colorScheme === "light") weights.push(`${name} ${weight}`);
    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 360) faults.push(`${name} is ${wide} wide where there are 360`);
    for (const violation of await violations(page)) faults.push(`${name}, ${colorScheme}, narrow: ${violation}`);
    if (colorScheme === "light") await picture(page, `${name}-narrow`);
    await page.context().close();
  }
}
// What another license would change, and a refusal on the page of its form.
for (const colorScheme of ["light", "dark"]) {
  const page = await open({ colorScheme });
  await page.context().addCookies(cookies);
  await page.goto(`${origin}/console/license`);
  await page.getByLabel("File of the license").setInputFiles(join(dirname(credentials), "vendor.jwe"));
  await press(page, "Preview");
  await looked(page, `candidate-${colorScheme}`);
  await page.goto(`${origin}/console/tenants`);
  await page.getByLabel("Slug", { exact: true }).last().fill("one-too-many");
  await press(page, "Register");
  await looked(page, `refused-${colorScheme}`);
  await page.goto(`${origin}/console/tenants/${tenant.id}/subscription`);
  await page.getByLabel("tenancy.exports.max").fill("2");
  await page.getByLabel("tenancy.subtenants.v1").check();
  await page.getByText("Rules over single commands").click();
  await page.getByLabel("Deny").fill("chancery.tenancy.tenants.export");
  await press(page, "Preview");
  await looked(page, `subscription-preview-${colorScheme}`);
  await page.context().close();
}
console.log(`bytes of the first view: ${weights.join(", ")}`);
await end();

/** A picture, and what axe-core finds. */
async function looked(page, name) {
  for (const violation of await violations(page)) faults.push(`${name}: ${violation}`);
  await picture(page, name);
}
