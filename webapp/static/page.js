// Suggestions while typing, and a look at the running night every few seconds. Without this file the form does the same
// after Enter, and the night when the page is loaded again.
"use strict";

(() => {
  const field = document.getElementById("user_id");
  const list = document.getElementById("suggestions");
  const status = document.getElementById("suggestions-status");
  if (!field || !list || !status) return;

  let timer = 0;
  let request = 0;

  const close = () => {
    clearTimeout(timer);
    request++; // a running request no longer counts
    list.replaceChildren();
    list.hidden = true;
    status.textContent = "";
  };

  const suggest = async () => {
    const typed = field.value;
    if (typed === "") {
      close();
      return;
    }
    const current = ++request;
    const query = new URLSearchParams({ catalog: field.form.elements.catalog.value, user_id: typed });
    let html = null;
    try {
      const response = await fetch(`/customers?${query}`);
      if (response.ok) html = await response.text();
    } catch {
      // no network: the same as an error
    }
    if (current !== request) return;
    list.innerHTML = html ?? ""; // escaped by the server
    const count = list.querySelectorAll("a").length;
    list.hidden = count === 0;
    if (html === null) status.textContent = "No suggestions at the moment";
    else if (count === 0) status.textContent = "No customer begins with this";
    else status.textContent = `${count} suggestions, arrow keys to choose`;
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, 100);
  });

  // Typed before this file was loaded.
  if (document.activeElement === field && field.value !== field.defaultValue) suggest();

  field.form.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      close();
      field.focus();
    } else if (event.key === "ArrowDown" && links.length > 0) {
      event.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      event.preventDefault();
      (at === 0 ? field : links[at - 1]).focus();
    }
  });

  document.addEventListener("click", (event) => {
    if (!field.form.contains(event.target)) close();
  });
})();

(() => {
  const section = () => document.getElementById("latest-night");
  if (!section()?.dataset.refresh) return;

  const look = async () => {
    const shown = section();
    if (!document.hidden) {
      try {
        const response = await fetch(shown.dataset.address);
        if (response.ok && !response.redirected) {
          const page = new DOMParser().parseFromString(await response.text(), "text/html");
          const next = page.getElementById("latest-night");
          if (next) shown.replaceWith(next); // escaped by the server
        }
      } catch {
        // no network: at the next look
      }
    }
    // Once the night has ended the whole page tells of it, unless somebody is filling in its form.
    if (section().dataset.refresh) setTimeout(look, 1000 * section().dataset.refresh);
    else if (!document.querySelector("details.act[open]")) location.reload();
  };
  setTimeout(look, 1000 * section().dataset.refresh);
})();
