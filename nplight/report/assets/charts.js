// Charts by Plotly, drawn as they come into view, and drawn anew when what they show is chosen.

const plots = [...document.querySelectorAll(".plot")];
const phone = window.matchMedia("(max-width: 600px)");
const PAPER = 680; // pixels across a printed page
const theme = () => document.documentElement.dataset.theme;
const stale = new Set(plots);
const inView = new Set();
let plotly = null;

function loadPlotly() {
  plotly ??= unpack("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  });
  return plotly;
}

function fillUse(figure) {
  const { use } = searchData(chosen.m);
  const columns = figure.data[0].x.length;
  const size = columns > 1 ? figure.data[0].x[1] - figure.data[0].x[0] : 1;
  const z = Array.from({ length: depth }, () => new Array(columns).fill(0));
  const neuron = z.map((row) => row.map((_, column) => column * size));
  for (let entry = use.start[chosen.c]; entry < use.start[chosen.c + 1]; entry++) {
    const column = Math.floor(use.neuron[entry] / size);
    const share = (100 * use.count[entry]) / use.images[chosen.c];
    if (share > z[use.layer[entry]][column]) {
      z[use.layer[entry]][column] = share;
      neuron[use.layer[entry]][column] = use.neuron[entry];
    }
  }
  Object.assign(figure.data[0], { z, customdata: neuron });
}

function fillMap(figure) {
  [chosen.c, beside()?.category ?? null].forEach((category, number) => {
    const ring = figure.data[figure.data.length - 2 + number];
    const images = data.map.category.map((_, image) => image).filter((image) => data.map.category[image] === category);
    Object.assign(ring, { x: images.map((image) => data.map.x[image]), y: images.map((image) => data.map.y[image]) });
  });
}

function fillSimilarity(figure) {
  const { similarity, order } = searchData(chosen.m);
  if (!similarity) return;
  const labels = order.map((category) => letters(data.names[category]));
  Object.assign(figure.data[0], { z: order.map((row) => order.map((column) => similarity[row][column])), x: labels, y: labels });
}

const fillers = { use: fillUse, map: fillMap, similarity: fillSimilarity };

async function draw(plot, paper = {}) {
  const name = plot.dataset.figure;
  const figure = data.figures[name];
  fillers[name]?.(figure);
  const layout = { ...figure.layout, template: data.templates[theme()], ...paper };
  // Scrolling by touch must not draw a selection box.
  if (phone.matches) {
    const entries = figure.data.filter((trace) => trace.name && trace.showlegend !== false).length;
    const margin = { ...layout.margin, l: 44, r: 6 };
    Object.assign(layout, { dragmode: false, margin, height: layout.height + 12 * entries });
    const bar = { orientation: "h", x: 0.5, y: 1, yanchor: "bottom", thickness: 10, title: { ...figure.data[0].colorbar?.title, side: "top" } };
    for (const { colorbar } of figure.data) if (colorbar) Object.assign(colorbar, bar);
  }
  const options = { responsive: true, displaylogo: false, displayModeBar: phone.matches ? false : "hover", modeBarButtons: [["toImage", "resetScale2d"]] };
  await Plotly.react(plot, figure.data, layout, { ...options, toImageButtonOptions: { format: "svg", filename: name } });
  if (!stale.has(plot)) plot.dataset.drawn = "true";
}

let queue = Promise.resolve();
let waiting = 0;

// One after another, so that the page answers in between.
function drawVisible() {
  const due = [...inView].filter((plot) => stale.has(plot));
  for (const plot of due) stale.delete(plot);
  if (!due.length) return;
  waiting += 1;
  delete document.body.dataset.ready;
  queue = queue.then(async () => {
    await loadPlotly();
    for (const plot of due) {
      await draw(plot);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }).finally(() => {
    waiting -= 1;
    if (!waiting) document.body.dataset.ready = "true";
  });
}

function redraw(selected) {
  for (const plot of selected) {
    stale.add(plot);
    delete plot.dataset.drawn;
  }
  drawVisible();
}

function watchCharts() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target);
      else inView.delete(target);
    }
    drawVisible();
    if (!waiting) document.body.dataset.ready = "true";
  }, { rootMargin: "200px" });
  for (const plot of plots) observer.observe(plot);
  if (!plots.length) document.body.dataset.ready = "true";
  // Ready for a page that is printed before its charts came into view.
  else setTimeout(loadPlotly, 1500);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
}

function connectCharts() {
  $("theme").addEventListener("click", () => {
    setTheme(theme() === "dark" ? "light" : "dark");
    redraw(plots);
  });
  phone.addEventListener("change", () => redraw(plots));
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = theme();
    setTheme("light");
    if (window.Plotly) for (const plot of plots) draw(plot, { width: PAPER });
  });
  window.addEventListener("afterprint", () => {
    setTheme(before ?? theme());
    redraw(plots);
  });
}
