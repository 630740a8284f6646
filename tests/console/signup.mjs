// Somebody asked for a tenant. They confirm their address by the link of their mail, and an operator approves them, both
// without JavaScript.

import { end, expect, faults, open, operator, origin, picture, violations } from "./browser.mjs";
import { press, sees, signIn } from "./path.mjs";

const page = await open({ javaScriptEnabled: false });
await page.goto(`${origin}/console/signup/confirm`);
await page.getByLabel("Token of your link").fill(operator.link);
await press(page, "Confirm");
await sees(page, "Somebody looks at your request now.");
await page.goto(`${origin}/console/signup/confirm`);
await page.getByLabel("Token of your link").fill(operator.link);
await press(page, "Confirm");
expect(!(await page.locator("main").innerText()).includes("Somebody looks"), "the link works once");

const desk = await open({ javaScriptEnabled: false });
await signIn(desk, operator.operator, operator.password);
await desk.goto(`${origin}/console/signups`);
await sees(desk, "The acme company");
const cookies = await desk.context().cookies();
for (const colorScheme of ["light", "dark"]) {
  const other = await open({ colorScheme });
  await other.context().addCookies(cookies);
  await other.goto(`${origin}/console/signups`);
  for (const violation of await violations(other)) faults.push(`signups, ${colorScheme}: ${violation}`);
  await picture(other, `signups-waiting-${colorScheme}`);
  await other.context().close();
}
await press(desk, "Approve acme");
await sees(desk, "The request was approved and the tenant registered.");
await desk.goto(`${origin}/console/tenants?find=acme`);
await sees(desk, "The acme company");
await desk.goto(`${origin}/console/signups`);
await sees(desk, "Globex");
await desk.getByText("Reject", { exact: true }).first().click();
await desk.getByLabel("Why (kept in the register)").fill("not a customer");
await desk.getByRole("button", { name: "Reject", exact: true }).click();
await sees(desk, "The request was rejected.");
console.log("confirmed an address, approved a signup, rejected another");
await end();
