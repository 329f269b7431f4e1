// What the pages need beyond htmx: charts from the JSON beside them, CSV of a table, the menu on a phone, "/" to search.
(() => {
  "use strict";

  const drawn = new WeakMap();

  // The options are plain data, so what has to be a function in ECharts is named in `datong` and put in here.
  function complete(option) {
    const unit = option.datongUnit || "";
    delete option.datongUnit;
    option.animation = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily };
    option.tooltip = Object.assign({ confine: true }, option.tooltip || {});
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
      chart.setOption(complete(JSON.parse(source.textContent)));
      drawn.set(box, chart);
      new ResizeObserver(() => chart.resize()).observe(box);
    });
  }

  function csv(table) {
    const quote = (text) => (/[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
    return [...table.rows].map((row) => [...row.cells].map((cell) => quote(cell.innerText.trim())).join(",")).join("\r\n");
  }

  function download(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + text], { type: "text/csv" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function filterRows(input) {
    const wanted = input.value.trim().toLowerCase();
    document.querySelectorAll(input.dataset.filter + " tbody tr").forEach((row) => {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    });
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-csv], [data-menu], [data-check-all]");
    if (!target) return;
    if (target.dataset.csv) download(target.dataset.name || "datong.csv", csv(document.querySelector(target.dataset.csv)));
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
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const box = document.querySelector("[data-search]");
    if (event.key === "/" && !typing && box) { event.preventDefault(); box.focus(); }
  });
  document.addEventListener("DOMContentLoaded", () => draw(document));
  document.addEventListener("htmx:load", (event) => draw(event.detail.elt));
})();
