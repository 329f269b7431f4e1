// The search of the help: the words of its pages are one script beside them, so that a folder opened as files has it, too.
// Chinese is written without spaces: a term that stands nowhere as it is counts by its pairs of characters.
(() => {
  "use strict";
  const SHOWN_MAX = 12, SNIPPET_BEFORE = 30, SNIPPET_LENGTH = 120;
  const HAN = /[\u3400-\u9fff]/;
  const form = document.querySelector("[data-help-search]");
  if (!form) return;
  const box = form.querySelector("input"), found = form.querySelector(".found-box");
  let loading = null;

  function words() {
    loading = loading || new Promise((done, failed) => {
      const script = document.createElement("script");
      Object.assign(script, { src: box.dataset.words, onload: () => done(window.datongPassages), onerror: failed });
      document.head.append(script);
    }).then((passages) => passages.map(([address, anchor, page, heading, text]) => ({
      address, anchor, page, heading, text, head: (page + " " + heading).toLowerCase(), body: text.toLowerCase(),
    })));
    return loading;
  }

  function pairs(term) {
    const parts = [];
    for (let at = 0; at + 2 <= term.length; at += 1) parts.push(term.slice(at, at + 2));
    return parts;
  }

  // How well a passage answers a term: 0 not at all, more in its headings than in its text.
  function worth(passage, term) {
    if (passage.head.includes(term)) return 10 + (passage.heading.toLowerCase() === term ? 10 : 0);
    if (passage.body.includes(term)) return 3;
    if (term.length < 3 || !HAN.test(term)) return 0;
    const parts = pairs(term);
    const met = parts.filter((part) => passage.head.includes(part) || passage.body.includes(part)).length;
    return met * 2 > parts.length ? (2 * met) / parts.length : 0;
  }

  function rank(passages, asked) {
    const terms = asked.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = [];
    passages.forEach((passage, order) => {
      const worths = terms.map((term) => worth(passage, term));
      // Guides stand first in the list, so what is equally good keeps its place.
      if (terms.length && worths.every((one) => one > 0)) hits.push({ passage, order, score: worths.reduce((sum, one) => sum + one, 0) + (passage.address.includes("/guide/") ? 3 : 0) });
    });
    return hits.sort((left, right) => right.score - left.score || left.order - right.order).slice(0, SHOWN_MAX).map((hit) => ({ passage: hit.passage, terms }));
  }

  function snippet(passage, terms) {
    const at = Math.max(0, ...terms.map((term) => passage.body.indexOf(term)));
    const from = Math.max(0, at - SNIPPET_BEFORE);
    return (from ? "…" : "") + passage.text.slice(from, from + SNIPPET_LENGTH) + (passage.text.length > from + SNIPPET_LENGTH ? "…" : "");
  }

  function show(hits, asked) {
    found.replaceChildren();
    if (!asked) return;
    const list = document.createElement("div");
    list.className = "found";
    hits.forEach(({ passage, terms }) => {
      const line = document.createElement("p"), link = document.createElement("a"), text = document.createElement("span");
      link.href = form.dataset.helpSearch + passage.address + "#" + passage.anchor;
      link.textContent = passage.page === passage.heading ? passage.page : `${passage.page} › ${passage.heading}`;
      text.className = "sub";
      text.textContent = snippet(passage, terms);
      line.append(link, text);
      list.append(line);
    });
    if (!hits.length) list.textContent = form.dataset.none;
    found.append(list);
  }

  box.addEventListener("focus", () => { words().catch(() => {}); });
  box.addEventListener("input", () => {
    const asked = box.value.trim();
    words().then((passages) => { if (box.value.trim() === asked) show(rank(passages, asked), asked); }).catch(() => {});
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = found.querySelector("a");
    if (first) window.location = first.href;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input")) { event.preventDefault(); box.focus(); return; }
    if (!form.contains(event.target) || !["ArrowDown", "ArrowUp", "Escape"].includes(event.key)) return;
    const stops = [box, ...found.querySelectorAll("a")];
    event.preventDefault();
    if (event.key === "Escape") { found.replaceChildren(); box.focus(); return; }
    const at = stops.indexOf(document.activeElement);
    (stops[at + (event.key === "ArrowDown" ? 1 : -1)] || box).focus();
  });
})();
// What scrolls is reached by the keyboard, too, and says what it is.
(() => {
  "use strict";
  function reachable() {
    document.querySelectorAll(".table, pre").forEach((one) => {
      if (one.hasAttribute("tabindex") || (one.scrollWidth <= one.clientWidth + 1 && one.scrollHeight <= one.clientHeight + 1)) return;
      const above = [...document.querySelectorAll(".doc h1, .doc h2, .doc h3")].filter((other) => other.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
      one.tabIndex = 0;
      one.setAttribute("role", "region");
      one.setAttribute("aria-label", above.length ? above[above.length - 1].textContent : document.title);
    });
  }
  reachable();
  window.addEventListener("resize", reachable);
})();
