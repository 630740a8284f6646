// The first run: a server that nobody has set up, led through its wizard in a browser without JavaScript.

import { readFileSync } from "node:fs";

import { end, expect, faults, open, origin, picture, violations } from "./browser.mjs";
import { press, said, sees, signIn } from "./path.mjs";

const page = await open({ javaScriptEnabled: false });

/** With script, so that axe-core can look. */
async function looked(name) {
  for (const colorScheme of ["light", "dark"]) {
    const other = await open({ colorScheme });
    await other.goto(page.url());
    for (const violation of await violations(other)) faults.push(`${name}, ${colorScheme}: ${violation}`);
    await picture(other, `${name}-${colorScheme}`);
    await other.context().close();
  }
}

await page.goto(`${origin}/console`);
expect(page.url().endsWith("/console/setup"), `where nobody can sign in, the setup comes first, not ${page.url()}`);
await looked("setup-request");
await page.getByLabel("Organization").fill("Acme");
await page.getByLabel("Given name of a contact").fill("Ada");
await page.getByLabel("Family name").fill("Lovelace");
await page.getByLabel("E-mail of the contact").fill("ada@acme.example");
await page.getByLabel("Domains this installation serves under").fill("platform.acme.example");
const [request] = await Promise.all([page.waitForEvent("download"), press(page, "Download the request")]);
expect(/BEGIN/.test(readFileSync(await request.path(), "utf8")), "the request is armored");

await page.goto(`${origin}/console/setup`);
await sees(page, "A request was made.");
await press(page, "I have a license");
await looked("setup-import");
await page.getByLabel("Or its text").fill("this is no license");
await press(page, "Preview");
await sees(page, "It cannot be installed");
await press(page, "Go on without a license");

// Whoever comes later, or elsewhere, goes on at the same step.
const later = await open({ javaScriptEnabled: false });
await later.goto(`${origin}/console/setup`);
await sees(later, "The first administrator");
await looked("setup-administrator");
await page.getByLabel("E-mail").fill("ada@acme.example");
await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
await press(page, "Invite");
await sees(page, "ada@acme.example is invited");
const link = await page.locator("#told").innerText();
await page.goto(`${origin}/console/activate`);
await page.getByLabel("Token of your link").fill(link);
await press(page, "Continue");
await page.getByLabel("Password", { exact: true }).fill("a long sentence is good");
await page.getByLabel("The same again").fill("a long sentence is good");
await press(page, "Set the password");
await sees(page, "Your password is set.");

// The gate is closed.
await later.goto(`${origin}/console/setup`);
expect(later.url().includes("/console/sign-in"), "the setup is over");
expect((await fetch(`${origin}/api/platform/setup/v1/status`)).status === 404, "for programs too");
await signIn(page, "ada@acme.example", "a long sentence is good");
const text = await said(page);
expect(text.includes("MISSING") || text.includes("second factor"), `home tells that there is no license: ${text}`);
console.log("asked for a license, looked at a bad one, invited the first administrator, signed in");
await end();
