// Draws the figures, and keeps them in the colours of the page. Runs without a network.
(function () {
  "use strict";

  const root = document.documentElement;
  const { figures, templates } = JSON.parse(document.getElementById("figure-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const config = {
    // Without a pointer that hovers, the buttons would lie over the figures all the time.
    displayModeBar: window.matchMedia("(hover: none)").matches ? false : "hover",
    displaylogo: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "resetCameraLastSave3d", "tableRotation"],
    responsive: true,
    scrollZoom: false,
  };

  // A page opened from a file may have no storage; then the choice lasts as long as the page.
  const memory = {
    read() { try { return window.localStorage.getItem("thalweg-theme"); } catch { return null; } },
    write(theme) { try { window.localStorage.setItem("thalweg-theme", theme); } catch { /* not kept */ } },
  };

  const mode = () => root.dataset.theme || (dark.matches ? "dark" : "light");

  function hasWebgl() {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  }

  function standIn(node) {
    node.hidden = true;
    node.parentElement.querySelector(".picture").classList.add("only");
  }

  // A square figure is no taller than the screen is wide, and a relief on a narrow one is seen from further away.
  function fitted(layout, width) {
    const square = layout.scene || (layout.yaxis && layout.yaxis.scaleanchor);
    if (!square || width >= layout.height) return layout;
    const narrow = { ...layout, height: Math.max(width, 300) };
    if (layout.scene) {
      const { x, y, z } = layout.scene.camera.eye;
      const eye = { x: 1.4 * x, y: 1.4 * y, z: 1.4 * z };
      const small = (axis) => ({ ...axis, title: { text: axis.title.text.replace(/^distance along /, ""), font: { size: 10 } } });
      const { xaxis, yaxis, camera } = layout.scene;
      narrow.scene = { ...layout.scene, xaxis: small(xaxis), yaxis: small(yaxis), camera: { ...camera, eye } };
    }
    return narrow;
  }

  async function recolour() {
    for (const node of document.querySelectorAll(".plot.js-plotly-plot")) {
      await window.Plotly.relayout(node, { template: templates[mode()] });
    }
  }

  async function drawAll() {
    const webgl = hasWebgl();
    let drawn = 0;
    let failed = 0;
    for (const node of document.querySelectorAll(".plot")) {
      if ("webgl" in node.dataset && !webgl) {
        standIn(node);
        continue;
      }
      const data = figures[node.id].data;
      const layout = fitted(figures[node.id].layout, node.clientWidth);
      node.style.minHeight = `${layout.height}px`;
      try {
        const dragmode = coarse && !("webgl" in node.dataset) ? { dragmode: false } : {};
        await window.Plotly.newPlot(node, data, { ...layout, ...dragmode, template: templates[mode()] }, config);
        drawn += 1;
      } catch (error) {
        failed += 1;
        standIn(node);
        console.error(`figure ${node.id}:`, error);
      }
      // The page stays responsive between two figures.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    root.dataset.failed = String(failed);
    root.dataset.figures = String(drawn);
  }

  const kept = memory.read();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  document.querySelector(".toggle").addEventListener("click", () => {
    root.dataset.theme = mode() === "dark" ? "light" : "dark";
    memory.write(root.dataset.theme);
    recolour();
  });
  dark.addEventListener("change", () => { if (!root.dataset.theme) recolour(); });
  drawAll();
})();
