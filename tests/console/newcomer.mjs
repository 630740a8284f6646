// A newcomer's path, and every form of the console, in a browser without JavaScript.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { credentials, end, expect, open, operator, origin } from "./browser.mjs";
import { enter, press, said, sees, signIn, walk } from "./path.mjs";

const page = await open({ javaScriptEnabled: false });
const steps = [];
const step = (text) => steps.push(text);
const go = (path) => page.goto(origin + path);

await enter(page);
const { tenant, steps: walked } = await walk(page);
steps.push(...walked);

// The colours are a form, too.
await press(page, "Dark");
expect((await page.locator("html").getAttribute("data-theme")) === "dark", "the dark colours are kept");
await press(page, "Auto");
step("chose the colours");

// Another license: looked at, installed, taken away.
await go("/console/license");
await press(page, "Preview");
await sees(page, "Choose the file of a license");
await page.getByLabel("Or its text").fill("this is no license");
await press(page, "Preview");
await sees(page, "It cannot be installed");
await page.getByLabel("File of the license").setInputFiles(join(dirname(credentials), "vendor.jwe"));
await press(page, "Preview");
await sees(page, "Commands decided otherwise");
await press(page, "Install this license");
await sees(page, "The license was installed, on every replica.");
await sees(page, "installed here or through the API");
await page.getByText("Take the installed license away").click();
await press(page, "Take it away");
await sees(page, "The installed license was taken away.");
step("installed a license and took it away");
await page.getByText("Make a request").click();
await page.getByLabel("Organization").fill("Acme");
await page.getByLabel("Given name of a contact").fill("Ada");
await page.getByLabel("Family name").fill("Lovelace");
await page.getByLabel("E-mail of the contact").fill("ada@acme.example");
const [request] = await Promise.all([page.waitForEvent("download"), press(page, "Download the request")]);
expect(/BEGIN/.test(readFileSync(await request.path(), "utf8")), "the request is armored");
step("asked for a license");

// What else there is to do to a tenant.
await go(`/console/tenants/${tenant.id}`);
await page.getByLabel("Another domain").fill("tenant.example.com");
await press(page, "Add");
await sees(page, "CEILING_EXCEEDED");
await go(`/console/tenants/${tenant.id}`);
await press(page, "Suspend");
await sees(page, "Suspended");
await press(page, "Let it act again");
await sees(page, "The tenant was changed.");
step("suspended a tenant and let it act again");
await go(`/console/tenants/${tenant.id}/subscription`);
await page.getByText("Cancel it").click();
await press(page, "Cancel the subscription");
await sees(page, "The subscription was changed.");
await go("/console/baseline");
await page.getByText("Inherit the whole license again").click();
await press(page, "Clear the baseline");
await sees(page, "The baseline was changed.");
step("cancelled the subscription and cleared the baseline");
await go("/console/tenants?find=branch-1");
await page.getByRole("link", { name: "Branch 1" }).click();
await page.getByText("Delete", { exact: true }).click();
await press(page, "Delete Branch 1");
await sees(page, "The tenant was removed.");
step("deleted a tenant");
await go("/console/onboarding");
await page.getByLabel("Operators register tenants").uncheck();
await press(page, "Set");
await sees(page, "The onboarding policy was changed.");
await page.getByLabel("Operators register tenants").check();
await press(page, "Set");
step("changed the onboarding policy");

// Somebody else: invited, activated, disabled, enabled.
await go("/console/account");
await page.getByText("Invite an operator").click();
await page.getByLabel("Name to sign in with").fill("grace");
await page.getByLabel("Role").selectOption("platform-auditor");
await press(page, "Invite");
await sees(page, "The link for grace");
const link = await page.locator("#told").innerText();
const other = await open({ javaScriptEnabled: false });
await other.goto(`${origin}/console/activate`);
await other.getByLabel("Token of your link").fill(link);
await press(other, "Continue");
await sees(other, "The first password of grace");
await other.getByLabel("Password", { exact: true }).fill("three green lamps");
await other.getByLabel("The same again").fill("three red lamps");
await press(other, "Set the password");
await sees(other, "The two passwords are not the same.");
await other.getByLabel("Password", { exact: true }).fill("three green lamps");
await other.getByLabel("The same again").fill("three green lamps");
await press(other, "Set the password");
await sees(other, "Your password is set.");
await signIn(other, "grace", "three green lamps");
await other.goto(`${origin}/console/tenants`);
await other.getByLabel("Slug", { exact: true }).last().fill("not-hers");
await press(other, "Register");
await sees(other, "You may not do this");
step("invited an auditor, who looks and may not register");
await page.getByRole("row", { name: "grace" }).getByRole("button", { name: "Disable" }).click();
await sees(page, "The operator was changed.");
await other.goto(`${origin}/console/tenants`);
expect(other.url().includes("/console/sign-in"), "who is disabled is signed out");
await page.getByRole("row", { name: "grace" }).getByRole("button", { name: "Enable" }).click();
await sees(page, "The operator was changed.");
step("disabled and enabled an operator");

// A token for scripts.
await page.getByLabel("What it is for").fill("nightly");
await press(page, "Make a token");
const token = await page.locator("#told").innerText();
const answer = await fetch(`${operator.url}/api/identity/v1/operators/me`, { headers: { authorization: `Bearer ${token}` } });
expect(answer.ok, "the token is good");
await page.getByRole("listitem").filter({ hasText: "nightly" }).getByRole("button", { name: "Revoke" }).click();
await sees(page, "The token was revoked.");
step("made a token and revoked it");

// A second session, ended from here.
const second = await open({ javaScriptEnabled: false });
await signIn(second, operator.operator, operator.password);
await go("/console/account");
await page.getByRole("button", { name: "End", exact: true }).first().click();
await sees(page, "The session was ended.");
step("ended another session");

// A second factor, then the password, with what comes of both.
await press(page, "Add a second factor");
const [secret, recovery] = await page.locator("#factor-new pre").allInnerTexts();
await page.getByLabel("Code", { exact: true }).first().fill(totp(secret, 0));
await press(page, "Confirm");
await sees(page, "The second factor was added.");
await sees(page, "assurance level 2");
await press(page, "Sign out");
await sees(page, "You are signed out.");
await page.getByLabel("Name", { exact: true }).fill(operator.operator);
await page.getByLabel("Password", { exact: true }).fill(operator.password);
await press(page, "Sign in");
await sees(page, "Enter the code that your authenticator app shows");
await page.getByLabel("Password", { exact: true }).fill(operator.password);
await page.getByLabel("Code", { exact: true }).fill(recovery.split("\n")[0]);
await press(page, "Sign in");
expect(new URL(page.url()).pathname === "/console", "a recovery code gets in");
step("signed in by a second factor");
await go("/console/account");
await page.getByText("Take it away", { exact: true }).first().click();
await page.getByLabel("Code", { exact: true }).last().fill(recovery.split("\n")[1]);
await page.getByRole("button", { name: "Take it away" }).click();
await sees(page, "The second factor was removed.");
await page.getByLabel("Present password").fill(operator.password);
await page.getByLabel("New password").fill("four yellow lamps");
await page.getByLabel("The same again").fill("four yellow lamps");
await press(page, "Change the password");
await sees(page, "Your password was changed.");
step("took the second factor away and changed the password");

// A form of another session, or of none, does nothing.
const forged = await page.context().request.post(`${origin}/console/onboarding`, { form: { csrf: "guessed" } });
expect(forged.status() === 403, `a form without the session's token is refused, not ${forged.status()}`);
const elsewhere = await page.context().request.post(`${origin}/console/sign-out`, {
  headers: { origin: "https://elsewhere.example", "sec-fetch-site": "cross-site" },
});
expect(elsewhere.status() === 403, "a form of another site is refused");
step("was not fooled by forged forms");

for (const line of steps) console.log(line);
await end();

/** The code of RFC 6238 for this moment. */
function totp(secret, shift) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replace(/[\s=]/g, "")].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + shift));
  const hash = createHmac("sha1", key).update(counter).digest();
  const at = hash.at(-1) & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
