// A link from a mail that lets an operator in, opened in a browser as it is; and the pages that have such mails sent. The
// public address leads to this server, as a proxy would have it.

import { end, expect, open, operator, origin } from "./browser.mjs";
import { press, said, sees, signIn } from "./path.mjs";

const page = await open();

if (operator.link) {
  const link = new URL(operator.link);
  await page.goto(origin + link.pathname + link.hash);
  expect(!(await page.content()).includes(link.hash.slice(1)), "the token is in no page that the server has written");
  await page.getByRole("button", { name: "Continue" }).or(page.getByLabel("Password", { exact: true })).first().waitFor();
  if (await page.getByRole("button", { name: "Continue" }).isVisible()) await press(page, "Continue");
  await sees(page, `The first password of ${operator.operator}`);
  await page.getByLabel("Password", { exact: true }).fill(operator.password);
  await page.getByLabel("The same again").fill(operator.password);
  await press(page, "Set the password");
  await sees(page, "Your password is set.");
  await signIn(page, operator.operator, operator.password);
  expect(new URL(page.url()).pathname === "/console", `signed in, one is at home, not at ${page.url()}`);

  const again = await open();
  await again.goto(origin + link.pathname + link.hash);
  const button = again.getByRole("button", { name: "Continue" });
  if (await button.isVisible()) await press(again, "Continue");
  expect(!(await said(again)).includes("The first password"), "the link works once");
} else {
  await page.goto(`${origin}/console/setup?step=administrator`);
  await page.getByLabel("E-mail").fill(operator.operator);
  await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
  await press(page, "Invite");
  await sees(page, "A link is mailed to them.");
  expect(!(await page.content()).includes("/console/activate#"), "the page has no link");
}

// Those that they administer, and no others.
if (operator.tenants) {
  await page.goto(`${origin}/console/tenants`);
  const listed = await page.locator("main table tbody a").allInnerTexts();
  expect(listed.join() === operator.tenants.join(), `one sees ${operator.tenants}, and not ${listed}`);
  for (const tenant of operator.tenants) {
    await page.goto(`${origin}/console/tenants`);
    await page.getByRole("link", { name: tenant, exact: true }).click();
    await sees(page, tenant);
  }
}

if (operator.invites) {
  await page.goto(`${origin}/console/account`);
  await page.getByText("Invite an operator").click();
  await page.getByLabel("Name to sign in with").fill(operator.invites.name);
  await page.getByLabel("E-mail").last().fill(operator.invites.email);
  await page.getByLabel("Role").selectOption("platform-auditor");
  await press(page, "Invite");
  await sees(page, `A mail is on its way to ${operator.invites.name}`);
  expect(!(await page.content()).includes("/console/activate#"), "the page has no link");
}
console.log(operator.link ? `${operator.operator} came by mail` : "invited by mail");
await end();
