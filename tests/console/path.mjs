// A newcomer's path. It uses what a person sees: names of fields, words on buttons and links.

import { expect, operator, origin } from "./browser.mjs";

/** The text of the page's content. */
export const said = (page) => page.locator("main").innerText();

/** Presses a button by its words. */
export async function press(page, name) {
  try {
    await page.getByRole("button", { name, exact: true }).click();
  } catch (error) {
    throw new Error(`the button "${name}" cannot be pressed: ${error.message}\n${await said(page)}`);
  }
}

/** Says so when the page does not say this. */
export async function sees(page, words) {
  const text = await said(page);
  expect(text.includes(words), `the page says "${words}", and not: ${text}`);
}

/** Signs in by name and password. */
export async function signIn(page, name, password) {
  await page.goto(`${origin}/console/sign-in`);
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await press(page, "Sign in");
}

/** Signs in as the first operator, not without a mistake. */
export async function enter(page) {
  await page.goto(`${origin}/console`);
  expect(page.url().includes("/console/sign-in"), "whoever is not signed in is asked to");
  await page.getByLabel("Name", { exact: true }).fill(operator.operator);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await press(page, "Sign in");
  expect((await said(page)).includes("Sign in"), "a wrong password does not get in");
  await page.getByLabel("Password", { exact: true }).fill(operator.password);
  await press(page, "Sign in");
  expect(new URL(page.url()).pathname === "/console", `signed in, one is at home, not at ${page.url()}`);
}

/** Registers tenants until there is no room, asks why, changes what is handed on, and sees it allowed. */
export async function walk(page) {
  const steps = [];
  const step = (text) => steps.push(text);

  // To register tenants until the license has no room.
  for (let number = 1; ; number += 1) {
    await page.goto(`${origin}/console/tenants`);
    await page.getByLabel("Slug", { exact: true }).last().fill(`branch-${number}`);
    await page.getByLabel("Name", { exact: true }).fill(`Branch ${number}`);
    await press(page, "Register");
    const text = await said(page);
    if (text.includes("QUOTA_EXCEEDED")) break;
    expect(text.includes("The tenant was created."), `a tenant is created or refused: ${text}`);
    expect(number < 50, "some license has an end");
    step(`registered branch-${number}`);
  }
  step("hit the cap of tenants");

  // To ask why.
  await page.getByRole("link", { name: "Explain tenancy.tenants.create" }).click();
  let text = await said(page);
  expect(text.includes("Then it is charged") && text.includes("full"), `the full quota is shown: ${text}`);
  await page.getByRole("link", { name: /^Tenants$/ }).first().click();

  // To hand on less than the license has.
  await page.goto(`${origin}/console/baseline`);
  await page.getByLabel("Chancery", { exact: true }).check();
  await page.getByLabel("tenancy.exports.max").fill("1");
  await press(page, "Set it in force");
  expect((await said(page)).includes("The baseline was changed."), "the baseline is changed");

  // To use up what a tenant has of it.
  await page.goto(`${origin}/console/tenants`);
  await page.getByRole("link", { name: "Demo", exact: true }).click();
  const tenant = { id: new URL(page.url()).pathname.split("/")[3], slug: "demo" };
  const [register] = await Promise.all([page.waitForEvent("download"), press(page, "Export the register")]);
  expect(register.suggestedFilename() === "tenants.json", "the register is a file");
  await press(page, "Export the register");
  text = await said(page);
  expect(text.includes("QUOTA_EXCEEDED"), `the second export is refused: ${text}`);
  step("hit the cap of a tenant");
  await page.getByRole("link", { name: "Explain tenancy.tenants.export for it" }).click();
  text = await said(page);
  expect(/1\s+of 1/.test(text), `the tenant's own quota is full: ${text}`);
  step("explained it");

  // To change the subscription, having looked at what it makes.
  await page.goto(`${origin}/console/tenants/${tenant.id}/subscription`);
  await page.getByLabel("tenancy.exports.max").fill("3");
  await press(page, "Preview");
  text = await said(page);
  expect(/tenancy\.exports\.max\s+1\s+3/.test(text), `the preview tells the limit: ${text}`);
  await press(page, "Set it in force");
  expect((await said(page)).includes("The subscription was changed."), "the subscription is changed");
  step("changed the subscription");
  const [allowed] = await Promise.all([page.waitForEvent("download"), press(page, "Export the register")]);
  expect(allowed.suggestedFilename() === "tenants.json", "the export is allowed");
  step("saw it allowed");

  // What the license does not have at all.
  await page.goto(`${origin}/console/tenants/${tenant.id}`);
  await page.getByText("Register a tenant beneath it").click();
  await page.getByLabel("Slug", { exact: true }).fill("beneath");
  await press(page, "Register beneath Demo");
  expect((await said(page)).includes("CEILING_EXCEEDED"), "tenants beneath tenants are not licensed");
  step("was refused what is not licensed");

  // To prove the log.
  await page.goto(`${origin}/console/audit`);
  await page.getByRole("link", { name: "Verify the chain" }).click();
  expect((await said(page)).includes("The log is what was recorded"), "the chain is proved");
  step("verified the audit chain");
  return { tenant, steps };
}
