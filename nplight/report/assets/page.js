"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);

  async function unpack(id) {
    const bytes = Uint8Array.from(atob($(id).textContent), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(plain).text();
  }

  // Plotly interprets a subset of HTML in every text.
  const letters = (text) => text.replace(/[&<>]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[letter]);
  const percent = (share, digits = 1) => (100 * share).toFixed(digits) + "%";
  const phone = window.matchMedia("(max-width: 600px)");

  const script = document.createElement("script");
  script.textContent = await unpack("plotly");
  document.head.append(script);
  const data = JSON.parse(await unpack("data"));
  const names = data.names.map(letters);
  const depth = data.widths.length;
  const width = Math.max(...data.widths, 1);
  const plots = [...document.querySelectorAll(".plot")];

  const chosen = () => ({
    search: data.methods[$("search").value],
    category: Number($("category").value),
    beside: $("beside").value === "" ? null : Number($("beside").value),
  });

  // Traces of the chosen category replace those of the figure.

  function lines(search, category) {
    const line = { x: [], y: [], text: [] };
    for (let image = search.start[category]; image < search.start[category + 1]; image++) {
      const text = `${letters(search.files[image])}: ${percent(search.probability[image])}`;
      for (let layer = 0; layer < depth; layer++) {
        line.x.push(layer);
        line.y.push(search.neurons[image * depth + layer]);
        line.text.push(text);
      }
      line.x.push(null);
      line.y.push(null);
      line.text.push(null);
    }
    return line;
  }

  function fillPaths(figure, { search, category, beside }) {
    [category, beside].forEach((choice, number) => {
      const shown = choice !== null;
      const path = shown && search.paths ? search.paths[choice] : [];
      const name = shown ? names[choice] : "";
      const images = shown ? lines(search, choice) : { x: [], y: [], text: [] };
      Object.assign(figure.data[2 * number], images, { name: `${name}: images`, showlegend: shown });
      const bold = { x: path.map((_, layer) => layer), y: path, name: `${name}: category path` };
      Object.assign(figure.data[2 * number + 1], bold, { showlegend: path.length > 0 });
    });
  }

  function fillUse(figure, { search, category }) {
    const size = figure.data[0].x.length > 1 ? figure.data[0].x[1] - figure.data[0].x[0] : 1;
    const columns = figure.data[0].x.length;
    const z = Array.from({ length: depth }, () => new Array(columns).fill(0));
    const neuron = z.map((row) => row.map((_, column) => column * size));
    const use = search.use;
    for (let entry = use.start[category]; entry < use.start[category + 1]; entry++) {
      const column = Math.floor(use.neuron[entry] / size);
      const share = (100 * use.count[entry]) / use.images[category];
      if (share > z[use.layer[entry]][column]) {
        z[use.layer[entry]][column] = share;
        neuron[use.layer[entry]][column] = use.neuron[entry];
      }
    }
    Object.assign(figure.data[0], { z, customdata: neuron });
  }

  function fillMap(figure, { category, beside }) {
    [category, beside].forEach((choice, number) => {
      const ring = figure.data[figure.data.length - 2 + number];
      const images = data.map.category.map((_, image) => image).filter((image) => data.map.category[image] === choice);
      Object.assign(ring, { x: images.map((image) => data.map.x[image]), y: images.map((image) => data.map.y[image]) });
    });
  }

  const fillers = { paths: fillPaths, use: fillUse, map: fillMap };

  // Drawing.

  const theme = () => document.documentElement.dataset.theme;

  async function draw(plot) {
    const name = plot.dataset.figure;
    const figure = data.figures[name];
    fillers[name]?.(figure, chosen());
    const layout = { ...figure.layout, template: data.templates[theme()] };
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
  }

  async function drawAll(selected = plots) {
    delete document.body.dataset.ready;
    for (const plot of selected) {
      await draw(plot);
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.body.dataset.ready = "true";
  }

  // Pictures.

  function element(kind, properties = {}, ...children) {
    const node = Object.assign(document.createElement(kind), properties);
    node.append(...children);
    return node;
  }

  function picture(number, lines, overlay) {
    const { source, file, label } = data.pictures.pictures[number];
    const title = `${file}, category ${data.names[label]}`;
    const image = () => element("div", { className: "image" }, element("img", { src: source, alt: title, title }));
    const images = element("div", { className: "images" }, image());
    if (overlay) {
      images.append(image());
      images.lastChild.append(overlay);
    }
    const caption = element("figcaption", {}, ...lines.map((line) => element("div", { textContent: line })));
    return element("figure", { className: overlay ? "wide" : "" }, images, caption);
  }

  // Five stops of cividis, dark to light.
  const STOPS = [[0, 34, 78], [64, 77, 107], [124, 123, 120], [187, 173, 108], [254, 232, 56]];

  function heat(values, [rows, columns]) {
    const canvas = element("canvas", { width: columns, height: rows });
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(columns, rows);
    values.forEach((value, patch) => {
      const stop = Math.min(3.999, (value / 99) * 4);
      const [low, high, share] = [STOPS[Math.floor(stop)], STOPS[Math.floor(stop) + 1], stop % 1];
      pixels.data.set([...low.map((level, tone) => level + share * (high[tone] - level)), 255], 4 * patch);
    });
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  function showSamples() {
    const { category } = chosen();
    const samples = data.pictures.samples[category] ?? [];
    const cards = samples.map(([number, clean, removed, enhanced]) =>
      picture(number, [`clean ${percent(clean)}`, `removed ${percent(removed)}`, `enhanced ${percent(enhanced)}`]));
    $("samples").replaceChildren(...(cards.length ? cards : ["There is no picture of this category."]));
  }

  function listNeurons() {
    const { search, category } = chosen();
    const path = search?.paths?.[category] ?? [];
    const drivers = data.pictures.drivers.map((_, number) => number).filter((number) => {
      const { layer, neuron, images } = data.pictures.drivers[number];
      return images.length && path[layer] === neuron;
    });
    $("neuron").replaceChildren(...drivers.map((number) => {
      const { layer, neuron } = data.pictures.drivers[number];
      return element("option", { value: number, textContent: `layer ${layer}, neuron ${neuron}` });
    }));
    showDrivers();
  }

  function showDrivers() {
    const images = data.pictures.drivers[$("neuron").value]?.images ?? [];
    const cards = images.map(([number, value, patches]) => {
      const lines = [`category ${data.names[data.pictures.pictures[number].label]}, value ${value}`];
      return picture(number, lines, patches.length ? heat(patches, data.pictures.grid) : null);
    });
    $("drivers").replaceChildren(...(cards.length ? cards : ["There is no picture for this category's neurons."]));
  }

  function showPictures() {
    if ($("samples")) {
      showSamples();
      listNeurons();
    }
  }

  function showTables() {
    for (const part of document.querySelectorAll("[data-search]")) part.hidden = part.dataset.search !== $("search").value;
  }

  // Interaction.

  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    $("theme").textContent = name === "dark" ? "Light" : "Dark";
  }

  $("theme").addEventListener("click", () => {
    setTheme(theme() === "dark" ? "light" : "dark");
    drawAll();
  });
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("choice").addEventListener("change", () => {
    showTables();
    showPictures();
    drawAll(plots.filter((plot) => plot.dataset.figure in fillers));
  });
  $("neuron")?.addEventListener("change", showDrivers);
  phone.addEventListener("change", () => drawAll());

  const searches = Object.keys(data.methods).length;
  $("searches").hidden = searches < 2;
  $("choice").hidden = searches === 0;
  setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  showTables();
  showPictures();
  await drawAll();
})();
