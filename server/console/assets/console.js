// What is live on a page. Every page works without it; nothing here changes state.
"use strict";

// A part of a page that is fetched anew while somebody looks: <div data-refresh="URL" data-every="SECONDS">
for (const part of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    const html = await fetched(part.dataset.refresh);
    if (html !== null && html !== part.innerHTML) part.innerHTML = html;
  }, 1000 * Number(part.dataset.every));
}

// A table whose newest rows arrive by themselves: <tbody data-follow="URL" data-newest="ID">, begun and ended by a button.
for (const rows of document.querySelectorAll("[data-follow]")) {
  const button = document.querySelector("[data-follows]");
  const told = document.querySelector("[data-told]");
  let timer = null;
  const look = async () => {
    if (document.hidden) return;
    const html = await fetched(rows.dataset.follow);
    if (html === null) {
      told.textContent = "The server does not answer; trying again.";
      return;
    }
    const page = document.createElement("template");
    page.innerHTML = html;
    const known = new Set([...rows.querySelectorAll("[data-event]")].map((row) => row.dataset.event));
    const fresh = [...page.content.querySelectorAll("[data-event]")].filter((row) => !known.has(row.dataset.event));
    for (const row of fresh) row.classList.add("arrived");
    rows.prepend(...fresh);
    while (rows.childElementCount > 300) rows.lastElementChild.remove();
    told.textContent = fresh.length ? `${fresh.length} new` : "Following.";
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const following = timer === null;
    if (following) {
      timer = setInterval(look, 2000);
      look();
    } else {
      clearInterval(timer);
      timer = null;
      told.textContent = "";
    }
    button.setAttribute("aria-pressed", String(following));
    button.textContent = following ? "Stop following" : "Follow live";
  });
}

// A button that copies a text: <button data-copy="ID">
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
}

// The one-time token of a link is behind its `#`, where no server and no log sees it. It goes from there into the form.
const token = document.querySelector("[data-token]");
if (token && location.hash.length > 1) {
  token.value = new URLSearchParams(location.hash.slice(1)).get("token") ?? location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  document.querySelector("[data-next]")?.focus();
}

async function fetched(url) {
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, redirect: "error" });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}
