// What the pages need beyond htmx: charts from the JSON beside them, as pictures, too, CSV of a table, the menu on a phone, "/" to search.
(() => {
  "use strict";

  const drawn = new Map();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // What a chart's colours are in the dark: the hub names those for a light page.
  const NIGHT = {
    "#1c2536": "#e4e9f2", "#4b5769": "#a9b4c6", "#d5dbe6": "#445068", "#e6eaf1": "#252e40", "#1d4ed8": "#7aa7ff",
    "#0f766e": "#4cc9b8", "#b45309": "#f0a24a", "#6d28d9": "#b79bff", "#b91c1c": "#ff8f88", "#64748b": "#9aa8bd",
    "#eef4ff": "#1b2f57", "#fde3bd": "#5c3f17", "#f2a65a": "#94511a",
  };

  function inTheDark(value) {
    if (typeof value === "string") return NIGHT[value] || value;
    if (Array.isArray(value)) return value.map(inTheDark);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inTheDark(one)]));
  }

  // The options are plain data, so what has to be a function in ECharts is named in `datong` and put in here.
  function complete(plain, night) {
    const option = night ? inTheDark(plain) : plain;
    const unit = option.datongUnit || "";
    delete option.datongUnit;
    option.animation = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily };
    option.tooltip = Object.assign({ confine: true }, option.tooltip || {});
    if (night) Object.assign(option.tooltip, { backgroundColor: "#1b2535", borderColor: "#445068", textStyle: { color: "#e4e9f2" } });
    option.tooltip.valueFormatter = (value) => (typeof value === "number" ? value.toLocaleString() + unit : value);
    (option.series || []).filter((series) => series.type === "bar").forEach((series) => {
      series.label.formatter = (shown) => shown.value.toLocaleString() + unit;
    });
    return option;
  }

  function draw(root) {
    if (!window.echarts) return;
    root.querySelectorAll("[data-chart]").forEach((box) => {
      if (drawn.has(box)) return;
      const source = document.getElementById(box.dataset.chart);
      if (!source) return;
      const chart = window.echarts.init(box, null, { renderer: "svg" });
      chart.setOption(complete(JSON.parse(source.textContent), dark.matches));
      drawn.set(box, { chart, source });
      new ResizeObserver(() => chart.resize()).observe(box);
    });
    drawn.forEach(({ chart }, box) => { if (!box.isConnected) { chart.dispose(); drawn.delete(box); } });
  }

  function repaint(night) {
    drawn.forEach(({ chart, source }) => chart.setOption(complete(JSON.parse(source.textContent), night), true));
  }

  // What can be scrolled sideways is reached by the keyboard, too, and says what it is.
  function reachable(root) {
    root.querySelectorAll(".table, pre").forEach((box) => {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (!scrolls || box.hasAttribute("tabindex")) return;
      const heading = (box.closest("section, .card") || document).querySelector("h1, h2, h3");
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", heading ? heading.textContent.trim() : document.title);
    });
  }

  function csv(table) {
    const quote = (text) => (/[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
    return [...table.rows].map((row) => [...row.cells].map((cell) => quote(cell.innerText.trim())).join(",")).join("\r\n");
  }

  function download(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // A picture for a report: the chart drawn once more, light, without movement, as large as it is shown.
  const PIXELS = 2;
  function picture(source, kind) {
    const shown = document.querySelector(`[data-chart="${source.id}"]`);
    const box = document.createElement("div");
    Object.assign(box.style, { width: shown.clientWidth + "px", height: shown.clientHeight + "px" });
    const chart = window.echarts.init(box, null, { renderer: kind === "svg" ? "svg" : "canvas", width: shown.clientWidth, height: shown.clientHeight });
    chart.setOption(Object.assign(complete(JSON.parse(source.textContent), false), { animation: false, backgroundColor: "#fff" }));
    const name = source.id.replace(/-data$/, "") + "." + kind;
    if (kind === "svg") download(name, new Blob([chart.renderToSVGString()], { type: "image/svg+xml" }));
    else {
      const bytes = atob(chart.getDataURL({ type: "png", pixelRatio: PIXELS, backgroundColor: "#fff" }).split(",")[1]);
      download(name, new Blob([Uint8Array.from(bytes, (character) => character.charCodeAt(0))], { type: "image/png" }));
    }
    chart.dispose();
  }

  function filterRows(input) {
    const wanted = input.value.trim().toLowerCase();
    document.querySelectorAll(input.dataset.filter + " tbody tr").forEach((row) => {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    });
  }

  // Down and up go through what was found, Escape leaves it.
  function walkFound(event) {
    const form = event.target.closest(".find");
    if (!form || !["ArrowDown", "ArrowUp", "Escape"].includes(event.key)) return;
    const stops = [form.querySelector("[data-find]"), ...form.querySelectorAll(".found a")];
    const at = stops.indexOf(document.activeElement);
    event.preventDefault();
    if (event.key === "Escape") { form.querySelector(".found-box").textContent = ""; stops[0].blur(); return; }
    (stops[at + (event.key === "ArrowDown" ? 1 : -1)] || stops[at]).focus();
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-csv], [data-menu], [data-check-all], [data-picture]");
    if (!target) return;
    if (target.dataset.csv) {
      const text = "\ufeff" + csv(document.querySelector(target.dataset.csv));
      download(target.dataset.name || "datong.csv", new Blob([text], { type: "text/csv" }));
    }
    if (target.dataset.picture) picture(document.getElementById(target.dataset.of), target.dataset.picture);
    if (target.dataset.menu !== undefined) {
      const open = target.closest(".rail").classList.toggle("open");
      target.setAttribute("aria-expanded", String(open));
    }
    if (target.dataset.checkAll) {
      document.querySelectorAll(target.dataset.checkAll + " input[type=checkbox]").forEach((box) => { box.checked = true; });
    }
  });
  // A long form saves by itself a moment after the last change; a conflict or an unreadable value is told, never forced.
  const AUTOSAVE_MILLISECONDS = 3000;
  let waiting = 0;
  async function autosave(form) {
    const state = form.querySelector("[data-autosave-state]");
    const body = new FormData(form);
    body.set("act", "autosave");
    const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
    if (!answer.ok) return;
    const told = await answer.json();
    if (told.digest) form.elements.expected_digest.value = told.digest;
    state.textContent = state.dataset[told.state] || "";
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-autosave]");
    if (!form || event.target.name.startsWith("bulk.")) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => autosave(form).catch(() => {}), AUTOSAVE_MILLISECONDS);
  });
  document.addEventListener("submit", () => clearTimeout(waiting));
  document.addEventListener("input", (event) => { if (event.target.dataset.filter) filterRows(event.target); });
  // A list may have been narrowed without a new page: what is kept is what its address says now.
  document.addEventListener("submit", (event) => {
    if (event.target.matches('form[action="/views"]')) event.target.elements.query.value = window.location.search.slice(1);
  });
  document.addEventListener("submit", (event) => {
    const question = (event.submitter && event.submitter.dataset.confirm) || event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  // A menu of further acts closes when one goes elsewhere.
  function closeMenus(but) { document.querySelectorAll("details.more[open]").forEach((one) => { if (one !== but) one.open = false; }); }
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.more")));
  document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.more")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details.more[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const box = document.querySelector("[data-search]") || document.querySelector("[data-find]");
    if (event.key === "/" && !typing && box) { event.preventDefault(); box.focus(); }
    walkFound(event);
  });
  // Which parts of the rail are folded is kept, so that the next page comes as this one is left.
  document.addEventListener("click", (event) => {
    const part = event.target.closest(".rail summary") && event.target.closest("[data-fold]");
    if (!part) return;
    const name = "datong_folds=", known = document.cookie.split("; ").find((one) => one.startsWith(name)) || name;
    const others = known.slice(name.length).split(".").filter((one) => one && one.slice(0, -1) !== part.dataset.fold);
    document.cookie = name + [...others, part.dataset.fold + (part.open ? "-" : "+")].join(".") + "; path=/; max-age=31536000; samesite=lax";
  });
  // Live parts: the hub says which topic changed, and each part of the page about it asks for itself again ("live").
  // One stream for a window in sight; where none is to be had, the clock takes its place.
  const OPEN_AFTER_MILLISECONDS = 1000, BEAT_MILLISECONDS = 15000, AGAIN_MILLISECONDS = 60000;
  let stream = null, opening = 0, beat = 0;
  const liveTopics = () => [...new Set([...document.querySelectorAll("[data-live]")].map((box) => box.dataset.live))];
  function inUse(box) {
    const held = document.activeElement;
    return box.contains(held) && held.matches("input, textarea, select") || box.querySelector("details[open], input:checked") !== null;
  }
  function refresh(topic) {
    document.querySelectorAll(`[data-live="${topic}"]`).forEach((box) => {
      const held = document.activeElement, link = box.contains(held) ? held.getAttribute("href") : null;
      if (inUse(box)) return;
      // Who stands on a link by the keyboard stands on it afterwards, too.
      if (link) document.addEventListener("htmx:afterSwap", () => {
        const again = [...document.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === link);
        if (again && !document.activeElement.matches("a, button, input")) again.focus({ preventScroll: true });
      }, { once: true });
      window.htmx.trigger(box, "live");
    });
  }
  function byTheClock() {
    clearInterval(beat);
    beat = setInterval(() => liveTopics().forEach(refresh), BEAT_MILLISECONDS);
    opening = setTimeout(listen, AGAIN_MILLISECONDS);
  }
  function listen() {
    const topics = liveTopics();
    if (document.hidden || stream || !topics.length) return;
    if (!window.EventSource) { byTheClock(); return; }
    stream = new EventSource("/updates?" + topics.map((topic) => "topic=" + encodeURIComponent(topic)).join("&"));
    stream.addEventListener("open", () => clearInterval(beat));
    stream.addEventListener("update", (event) => refresh(event.data));
    // A stream that ended is opened again by the browser; one that was refused is not.
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) { stream = null; byTheClock(); }
    });
  }
  function silence() {
    clearTimeout(opening);
    clearInterval(beat);
    if (stream) stream.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", () => {
    silence();
    if (!document.hidden) { liveTopics().forEach(refresh); listen(); }
  });
  window.addEventListener("pagehide", silence);
  window.addEventListener("pageshow", () => { opening = setTimeout(listen, OPEN_AFTER_MILLISECONDS); });

  dark.addEventListener("change", () => repaint(dark.matches));
  window.addEventListener("beforeprint", () => { if (dark.matches) repaint(false); });
  window.addEventListener("afterprint", () => { if (dark.matches) repaint(true); });
  window.addEventListener("resize", () => reachable(document));
  document.addEventListener("toggle", (event) => reachable(event.target), true);
  document.addEventListener("DOMContentLoaded", () => { draw(document); reachable(document); });
  document.addEventListener("htmx:load", (event) => { draw(event.detail.elt); reachable(event.detail.elt); });
})();
