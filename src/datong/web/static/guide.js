// Help beside the page, read from the guide's own section, and the guided tour's pointing at what it speaks of.
(() => {
  "use strict";

  const mark = document.querySelector("[data-help]"), panel = document.getElementById("help-panel");
  let filled = false;

  // A section of a guide: its heading, and everything up to the next one that is not below it.
  function section(page, anchor) {
    const heading = page.getElementById(anchor);
    if (!heading) return [];
    const parts = [heading];
    for (let next = heading.nextElementSibling; next && !/^H[12]$/.test(next.tagName); next = next.nextElementSibling) parts.push(next);
    return parts;
  }

  async function fill(address) {
    if (filled) return;
    const answer = await fetch(address.pathname, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Pictures are of the page that one is on.
    const parts = section(page, decodeURIComponent(address.hash.slice(1))).filter((part) => !part.querySelector("img"));
    if (!parts.length) throw new Error(address.hash);
    parts.forEach((part) => {
      part.querySelectorAll("a[href]").forEach((link) => { link.href = new URL(link.getAttribute("href"), address).href; });
      part.querySelectorAll("[id]").forEach((one) => one.removeAttribute("id"));
      part.removeAttribute("id");
    });
    panel.querySelector("#help-panel-title").textContent = parts[0].textContent;
    panel.querySelector("[data-help-text]").replaceChildren(...parts.slice(1));
    filled = true;
  }

  function close() {
    panel.close();
    mark.focus();
  }

  if (mark && panel && panel.show) {
    mark.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      if (panel.open) { close(); return; }
      const address = new URL(mark.href);
      // Where the section cannot be had, the guide itself is opened.
      fill(address).then(() => { panel.show(); panel.querySelector("[data-help-close]").focus(); }, () => { window.location = address; });
    });
    panel.querySelector("[data-help-close]").addEventListener("click", close);
    panel.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  }

  const tour = document.getElementById("tour");
  if (!tour) return;
  const target = tour.dataset.target && document.getElementById(tour.dataset.target);
  document.body.classList.add("touring");
  if (target) {
    target.classList.add("tour-target");
    target.setAttribute("aria-describedby", "tour-title");
    const box = target.getBoundingClientRect();
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    target.scrollIntoView({ block: box.height > window.innerHeight * 0.6 ? "start" : "center", behavior: still ? "auto" : "smooth" });
    if (box.left > window.innerWidth / 2) tour.classList.add("left");
  }
  tour.querySelector("button").focus({ preventScroll: true });
  tour.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tour.querySelector("button[value=leave]").click();
  });
})();
