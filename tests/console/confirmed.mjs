// The link that whoever asked for a tenant was sent, opened in a browser as it is.

import { end, expect, open, operator, origin } from "./browser.mjs";
import { press, said, sees } from "./path.mjs";

const page = await open();
const link = new URL(operator.link);
await page.goto(origin + link.pathname + link.hash);
expect(!(await page.content()).includes(link.hash.slice(1)), "the token is in no page that the server has written");
expect(page.url() === origin + link.pathname, `the token is not left in the address: ${page.url()}`);
await press(page, "Confirm");
await sees(page, "Your address is confirmed, and your tenant is registered.");

const again = await open();
await again.goto(origin + link.pathname + link.hash);
await press(again, "Confirm");
expect(!(await said(again)).includes("Your address is confirmed"), "the link works once");
console.log("confirmed an address");
await end();
