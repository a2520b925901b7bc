// The path of a category: one column per layer, boxes of neurons, links as wide as the images that share both neurons.

const layout = data.layout;

function stripOf(search, category) {
  const { path, topK, boxes, neurons, count, share, links, images } = searchData(search).strips;
  const total = images[category] ?? 0;
  const columns = Array.from({ length: depth }, (_, layer) =>
    Array.from({ length: boxes }, (_, box) => {
      const place = (category * depth + layer) * boxes + box;
      return {
        neuron: neurons[place] ?? -1,
        onPath: box < path,
        support: total && count[place] >= 0 ? count[place] / total : null,
        share: share[place] === null || share[place] === undefined ? null : share[place] / 1000,
      };
    }));
  const gaps = links === null ? [] : Array.from({ length: depth - 1 }, (_, layer) => links[category * (depth - 1) + layer]);
  // The pictures are of the neurons of the first run's model.
  const shown = (column, layer) => column.slice(0, layout.mostPictured).some((box) => box.onPath && drivers.get(neuronKey(layer, box.neuron))?.images.length);
  const withPictures = !searchData(search).run && columns.some(shown);
  return { search, category, path, topK, boxes, columns, gaps, images: total, tall: Math.max(path, 1), withPictures };
}

function geometry(strip) {
  const rows = [];
  let top = layout.head;
  for (let box = 0; box < strip.boxes; box++) {
    const withPicture = strip.withPictures && box < Math.min(strip.tall, layout.mostPictured);
    const height = withPicture ? layout.pictured : box < strip.tall ? layout.path : layout.runner;
    rows.push({ top, height, centre: top + layout.centre });
    top += height + layout.gap;
  }
  return { rows, other: { top, height: layout.other, centre: top + layout.other / 2 }, height: top + layout.other };
}

const curve = (layer, from, to) => `M${layer + 0.88} ${from}C${layer + 1} ${from} ${layer + 1} ${to} ${layer + 1.12} ${to}`;
const lineWidth = (share) => Math.max(1, layout.widest * share).toFixed(1);

function linksOf(strip, { rows, other }) {
  const pairs = strip.images * strip.topK ** 2;
  return strip.gaps.flatMap((gap, layer) => {
    const name = (side, box) => neuronName(layer + side, strip.columns[layer + side][box].neuron);
    const drawn = gap.map(([first, second, images]) =>
      drawing("path", { d: curve(layer, rows[first].centre, rows[second].centre), "stroke-width": lineWidth(images / strip.images) },
        drawing("title", {}, `${name(0, first)} and ${name(1, second)}: ${images} of ${strip.images} images`)));
    const rest = pairs - gap.reduce((sum, [, , images]) => sum + images, 0);
    if (rest > 0 && pairs) {
      const title = drawing("title", {}, `other pairs of neurons: ${percent(rest / pairs, 0)}`);
      drawn.push(drawing("path", { d: curve(layer, other.centre, other.centre), class: "rest", "stroke-width": lineWidth(rest / pairs) }, title));
    }
    return drawn;
  });
}

function layers(height, kind, ...children) {
  return drawing("svg", { viewBox: `0 0 ${depth} ${height}`, height, preserveAspectRatio: "none", class: kind, "aria-hidden": "true" }, ...children);
}

function neuronLink(layer, neuron, text = neuronName(layer, neuron)) {
  return element("a", { className: "neuron", href: `#${neuronKey(layer, neuron)}`, textContent: text });
}

// The word that agrees best with a neuron, with its score; of the first run's model alone.
function conceptOf(search, layer, neuron) {
  return searchData(search).run ? null : data.concepts[neuronKey(layer, neuron)] ?? null;
}

function conceptTag(concept) {
  return concept && element("em", { className: "concept", title: concept.text, textContent: concept.text });
}

function boxOf(strip, layer, box, row) {
  const { neuron, onPath, support, share } = strip.columns[layer][box];
  const tall = box < strip.tall;
  const node = element("div", { className: onPath ? "box path" : "box", style: `top:${row.top}px;height:${row.height}px` });
  if (neuron < 0) return node;
  node.dataset.neuron = neuronKey(layer, neuron);
  const bar = element("div", { className: "bar" }, element("i", { style: `width:${100 * (support ?? 0)}%` }));
  node.append(...[neuronLink(layer, neuron), conceptTag(conceptOf(strip.search, layer, neuron)), bar].filter(Boolean));
  node.append(element("small", { textContent: percent(support, 0) }));
  if (tall && share !== null) node.append(element("small", { textContent: `score ${percent(share, 0)}` }));
  const driver = row.height === layout.pictured ? drivers.get(neuronKey(layer, neuron)) : null;
  if (driver?.images.length) node.append(drivingImage(layer, neuron, driver.images[0]));
  else if (row.height === layout.pictured) node.append(element("small", { className: "absent", textContent: "no picture" }));
  return node;
}

function columnOf(strip, layer, { rows, other, height }) {
  const known = strip.images && strip.topK;
  const inBoxes = strip.columns[layer].reduce((sum, { support }) => sum + (support ?? 0), 0);
  const rest = known ? Math.max(0, 1 - inBoxes / strip.topK) : null;
  const text = rest === null ? "" : `other ${percent(rest, 0)}`;
  return element("li", { style: `height:${height}px` },
    element("h4", { textContent: `layer ${layer}` }),
    ...rows.map((row, box) => boxOf(strip, layer, box, row)),
    element("div", { className: "other", style: `top:${other.top}px;height:${other.height}px`, textContent: text }));
}

function drawStrip(place, strip, title) {
  const shape = geometry(strip);
  const columns = element("ol", { style: `--layers:${depth}` }, ...strip.columns.map((_, layer) => columnOf(strip, layer, shape)));
  const sheet = element("div", { className: "sheet", style: `--layers:${depth};height:${shape.height}px` }, layers(shape.height, "links", ...linksOf(strip, shape)), columns);
  place.replaceChildren(element("h3", { textContent: title }), element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": title }, sheet));
}

const pathOf = (strip) => strip.columns.map((column) => column.filter((box) => box.onPath).map((box) => box.neuron));
const titleOf = (strip) => `${strip.path ? "Path of category" : "Most used neurons of category"} ${data.names[strip.category]}, search ${strip.search}`;

// The same numbers as a table, for screen readers and for who wants to copy them.
function stripTable(strip) {
  const named = Object.keys(data.concepts).length > 0;
  const rows = strip.columns.flatMap((column, layer) => column.filter((box) => box.neuron >= 0).map((box) => [
    { text: neuronName(layer, box.neuron), node: neuronLink(layer, box.neuron) }, { text: String(layer) },
    { text: box.onPath ? "path" : "runner-up" }, { text: percent(box.support) }, { text: percent(box.share) },
    ...(named ? [{ text: conceptOf(strip.search, layer, box.neuron)?.text ?? "" }] : []),
  ]));
  return table(titleOf(strip), ["neuron", "layer", "part", "images with it", "share of the score", ...(named ? ["word"] : [])], rows);
}

function showStrip() {
  if (chosen.m === null) return;
  const strip = stripOf(chosen.m, chosen.c);
  drawStrip($("strip"), strip, titleOf(strip));
  $("strip-table").replaceChildren(stripTable(strip));
  showImages(strip);
}
