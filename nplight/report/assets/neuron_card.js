// The card of a neuron: categories that use it, its values, the images that drive it, and the nearest neurons by use.

const LISTED = 10;
const uses = new Map();

// Neuron -> category -> share of the category's images, in a search, as far as it is on the page.
function usesIn(search) {
  if (!uses.has(search)) {
    const { use } = searchData(search);
    const found = new Map();
    for (let category = 0; category < data.names.length; category++)
      for (let entry = use.start[category]; entry < use.start[category + 1]; entry++) {
        const key = neuronKey(use.layer[entry], use.neuron[entry]);
        if (!found.has(key)) found.set(key, new Map());
        found.get(key).set(category, use.count[entry] / use.images[category]);
      }
    uses.set(search, found);
  }
  return uses.get(search);
}

const norm = (shares) => Math.sqrt([...shares.values()].reduce((sum, share) => sum + share * share, 0));

function nearestNeurons(search, key) {
  const own = usesIn(search).get(key);
  if (!own) return [];
  const length = norm(own);
  return [...usesIn(search)].filter(([other]) => other !== key).map(([other, shares]) => {
    let product = 0;
    for (const [category, share] of own) product += share * (shares.get(category) ?? 0);
    return [other, product && product / length / norm(shares)];
  }).filter(([, cosine]) => cosine > 0.0005).sort((a, b) => b[1] - a[1]).slice(0, LISTED);
}

function usersOf(search, layer, neuron) {
  const own = new Map(usesIn(search).get(neuronKey(layer, neuron)) ?? []);
  const { strips } = searchData(search);
  const onPath = (category) => {
    const start = (category * depth + layer) * strips.boxes;
    return strips.neurons.slice(start, start + strips.path).includes(neuron);
  };
  data.names.forEach((_, category) => {
    if (onPath(category) && !own.has(category)) own.set(category, stripOf(search, category).columns[layer].find((box) => box.neuron === neuron).support);
  });
  return [...own].map(([category, share]) => ({ category, share, onPath: onPath(category) })).sort((a, b) => b.onPath - a.onPath || b.share - a.share);
}

function usersTable(search, name, layer, neuron) {
  const rows = usersOf(search, layer, neuron).map(({ category, share, onPath }) => {
    const button = element("button", { type: "button", className: "link", textContent: data.names[category] });
    button.addEventListener("click", () => choose({ c: category }));
    return [{ node: button }, { text: percent(share) }, { text: onPath ? "yes" : "no" }];
  });
  return rows.length ? table(`Categories that use ${name}, search ${search}`, ["category", "images with it", "on its path"], rows)
    : element("p", { className: "absent", textContent: `${name} is not among the most used neurons of any category in search ${search}.` });
}

function nearTable(search, name, key) {
  const rows = nearestNeurons(search, key).map(([other, cosine]) => {
    const [layer, neuron] = layerAndNeuron(other);
    return [{ text: neuronName(layer, neuron), node: neuronLink(layer, neuron) }, { text: cosine.toFixed(3) }];
  });
  return rows.length ? table(`Nearest neurons to ${name} by use, search ${search}`, ["neuron", "cosine"], rows) : null;
}

function histogram({ first, own, rest }, name) {
  const totals = [own, rest].map((counts) => counts.reduce((sum, count) => sum + count, 0));
  const shares = [own, rest].map((counts, group) => counts.map((count) => (totals[group] ? count / totals[group] : 0)));
  const top = Math.max(...shares.flat(), 1e-9);
  const [width, height] = [360, 120];
  const step = width / own.length;
  const edge = (bin) => data.edges[first + bin - 1];
  const range = (bin) => (edge(bin) === undefined ? `below ${edge(bin + 1)}` : edge(bin + 1) === undefined ? `above ${edge(bin)}` : `${edge(bin)} to ${edge(bin + 1)}`);
  const bars = shares.flatMap((values, group) => values.map((share, bin) =>
    drawing("rect", { x: bin * step + (group * step) / 2, y: height - (height * share) / top, width: step / 2, height: (height * share) / top, class: group ? "rest" : "own" },
      drawing("title", {}, `${range(bin)}: ${percent(share)} of ${group ? "the other images" : "the images of its categories"}`))));
  const ticks = [1, Math.floor(own.length / 2), own.length - 1].filter((bin, place, all) => bin > 0 && all.indexOf(bin) === place && edge(bin) !== undefined)
    .map((bin) => drawing("text", { x: bin * step, y: height + 16, "text-anchor": "middle" }, String(edge(bin)).replace("-", "−")));
  const text = `Values of ${name} at the held-out images, mean over the path tokens, without a unit; the bins widen away from 0. Share of the images of the categories with ${name} on their path, and of the rest.`;
  return element("figure", { className: "histogram" }, element("figcaption", {}, element("p", { textContent: text }),
    element("p", { className: "key" }, element("span", { className: "own", textContent: `its categories, ${totals[0]} images` }), element("span", { className: "rest", textContent: `the rest, ${totals[1]} images` }))),
    drawing("svg", { viewBox: `0 -4 ${width} ${height + 24}`, role: "img", "aria-label": text }, ...bars, ...ticks));
}

// The file of all pictures of a neuron, where files were written.
function pictureFile(name, layer, neuron) {
  if (!data.pictureFiles || !drivers.has(neuronKey(layer, neuron))) return null;
  return element("p", {}, element("a", { href: `${data.pictureFiles}/${neuronKey(layer, neuron)}.png`, target: "_blank", rel: "noopener", textContent: `All pictures of ${name} with their heat maps` }));
}

function cardPictures(name, layer, neuron, driver) {
  if (!driver?.images.length) return element("p", { className: "absent", textContent: `No pictures of ${name} are on this page. The commands validate and test keep those of neurons on the main search's category paths${data.pictureFiles ? "" : ", and report RUN --pictures DIR writes all of them"}.` });
  const cards = driver.images.map((entry) => element("figure", {}, drivingImage(layer, neuron, entry),
    element("figcaption", { textContent: `${data.names[data.pictures.pictures[entry[0]].label]}, value ${entry[1]}` })));
  return element("div", {}, element("h4", { textContent: "The held-out images with its largest values" }), heatLegend(), element("div", { className: "gallery" }, ...cards));
}

// What the word says that agrees best with the neuron, beside what chance gives.
function conceptText(concept, name) {
  if (!concept.name) return `${name} has one value for all images, and no word agrees with it.`;
  const word = `“${concept.name}”, correlation ${concept.score.toFixed(2)} over the images`;
  if (concept.told) return `The word that agrees best with its values is ${word}; the words of other images give less than ${concept.chance.toFixed(2)} in 95% of draws.`;
  return `No word agrees with its values beyond chance: the best is ${word}, and the words of other images give up to ${concept.chance.toFixed(2)} in 95% of draws.`;
}

const withLimits = (value, low, high) => (low === null ? percent(value, 2) : `${percent(value, 2)} (${percent(low, 2)} … ${percent(high, 2)})`);

// The removal of this neuron alone on the held-out images of each category whose path holds it.
function aloneTable(search, name, layer, neuron) {
  const absent = (text) => element("p", { className: "absent", id: "alone", textContent: text });
  if (searchData(search).run) return absent(`The removal of ${name} alone is on the page of that run.`);
  if (!data.alone) return absent(`The removal of ${name} alone was not measured in this run; report RUN --alone measures it.`);
  const found = data.alone.rows[neuronKey(layer, neuron)];
  if (!found) return absent(data.alone.short ? `The page has no room for the removal of ${name} alone; removed_alone.json of the run has it if ${name} is on a category's path.`
    : `${name} is on no category's path, and its removal alone was not measured.`);
  const rows = found.map(([category, images, removed, low, high, random, difference, differenceLow, differenceHigh]) => [
    { text: data.names[category] }, { text: withLimits(removed, low, high) }, { text: percent(random, 2) },
    { text: withLimits(difference, differenceLow, differenceHigh) }, { text: String(images) }]);
  const note = "Mean relative change of the label's probability on held-out images, with 95% intervals. Random: one neuron of the layer that is on no path, mean over five draws.";
  return element("div", { id: "alone" }, table(`${name} removed alone`, ["category", "Δ prob.", "random neuron", "difference", "images"], rows), element("p", { className: "note", textContent: note }));
}

function showNeuron(changed) {
  const part = $("neuron");
  part.hidden = chosen.n === null;
  if (chosen.n === null) return;
  const [layer, neuron] = layerAndNeuron(chosen.n);
  const name = neuronName(layer, neuron);
  const driver = searchData(chosen.m).run ? undefined : drivers.get(chosen.n);
  const absent = (text) => element("p", { className: "absent", textContent: text });
  const close = element("button", { type: "button", id: "close", textContent: "Close" });
  close.addEventListener("click", () => choose({ n: null }));
  const heading = element("h3", { textContent: `Neuron ${name}: layer ${layer}, number ${neuron}`, tabIndex: -1 });
  const concept = conceptOf(chosen.m, layer, neuron);
  $("card").replaceChildren(
    element("div", { className: "titled" }, heading, close),
    ...(concept ? [element("p", { className: "concept", textContent: conceptText(concept, name) })] : []),
    cardPictures(name, layer, neuron, driver),
    ...[driver && pictureFile(name, layer, neuron)].filter(Boolean),
    driver?.values?.own.length ? histogram(driver.values, name) : absent(`This run has no values of ${name}. The commands validate and test keep the values of the neurons that are on the main search's category paths.`),
    aloneTable(chosen.m, name, layer, neuron),
    element("div", { className: "pair" }, usersTable(chosen.m, name, layer, neuron), nearTable(chosen.m, name, chosen.n)));
  if (changed.includes("n")) {
    part.scrollIntoView({ block: "start" });
    heading.focus({ preventScroll: true });
  }
}

function connectNeurons() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.neuron");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const name = neuronNamed(link.getAttribute("href").slice(1));
    if (name === chosen.n) $("neuron").scrollIntoView({ block: "start" });
    choose({ n: name });
  });
}
