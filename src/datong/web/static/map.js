// Pans and zooms the map that the hub drew, by its view box; without this script the whole map stands there.
(() => {
  "use strict";

  const ZOOM_MAX = 40;
  const STEP = 1.4;

  document.querySelectorAll("[data-map]").forEach((box) => {
    const map = box.querySelector("svg");
    const whole = map.getAttribute("viewBox").split(" ").map(Number);
    let view = whole.slice();
    let held = null;
    let dragged = false;

    function show(next) {
      const width = Math.min(Math.max(next[2], whole[2] / ZOOM_MAX), whole[2]);
      const height = (width * whole[3]) / whole[2];
      const x = Math.min(Math.max(next[0], 0), whole[2] - width);
      const y = Math.min(Math.max(next[1], 0), whole[3] - height);
      view = [x, y, width, height];
      map.setAttribute("viewBox", view.join(" "));
      map.style.setProperty("--zoom", String(whole[2] / width));
    }

    function zoom(factor, at) {
      const [x, y] = at || [view[0] + view[2] / 2, view[1] + view[3] / 2];
      const width = Math.min(Math.max(view[2] / factor, whole[2] / ZOOM_MAX), whole[2]);
      const real = width / view[2];
      show([x - (x - view[0]) * real, y - (y - view[1]) * real, width]);
    }

    function spot(event) {
      const frame = map.getBoundingClientRect();
      return [
        view[0] + ((event.clientX - frame.left) / frame.width) * view[2],
        view[1] + ((event.clientY - frame.top) / frame.height) * view[3],
      ];
    }

    map.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && view[2] === whole[2] && event.deltaY > 0) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? STEP : 1 / STEP, spot(event));
    }, { passive: false });
    map.addEventListener("pointerdown", (event) => { held = spot(event); dragged = false; });
    map.addEventListener("pointermove", (event) => {
      if (!held || event.buttons === 0) return;
      const [x, y] = spot(event);
      if (Math.abs(x - held[0]) + Math.abs(y - held[1]) > view[2] / 100) dragged = true;
      if (dragged) show([view[0] + held[0] - x, view[1] + held[1] - y, view[2]]);
    });
    map.addEventListener("pointerup", () => { held = null; });
    map.addEventListener("click", (event) => { if (dragged) event.preventDefault(); }, true);
    map.addEventListener("dragstart", (event) => event.preventDefault());
    map.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.key === "+" || event.key === "=") zoom(STEP);
      else if (event.key === "-") zoom(1 / STEP);
      else if (event.key in moves && view[2] < whole[2]) {
        const [x, y] = moves[event.key];
        show([view[0] + (x * view[2]) / 8, view[1] + (y * view[3]) / 8, view[2]]);
      } else return;
      event.preventDefault();
    });
    box.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") show(whole);
      else zoom(button.dataset.zoom === "in" ? STEP : 1 / STEP);
    }));
    box.querySelector(".map-tools").hidden = false;
  });
})();
