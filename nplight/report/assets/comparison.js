// Two paths: strips one above the other, shared neurons joined, a sentence, and the support of each neuron in both.

function sharedNeurons(first, second) {
  return pathOf(first).map((neurons, layer) => neurons.filter((neuron) => pathOf(second)[layer].includes(neuron)));
}

const pathName = (strip, other) =>
  strip.search === other.search ? data.names[strip.category] : strip.category === other.category ? strip.search : `${data.names[strip.category]} (${strip.search})`;

function sentence(first, second) {
  if (!first.path || !second.path) return "This run has no category paths: the strips show the neurons that are on most paths of images.";
  const shared = sharedNeurons(first, second);
  const names = shared.flatMap((neurons, layer) => neurons.map((neuron) => neuronName(layer, neuron)));
  const total = first.path === second.path ? depth * first.path : `${depth * first.path} and ${depth * second.path}`;
  const of = first.category === second.category ? ` for category ${data.names[first.category]}` : first.search === second.search ? ` in search ${first.search}` : "";
  return `${pathName(first, second)} and ${pathName(second, first)} share ${names.length} of ${total} neurons${of}${names.length ? `: ${names.join(", ")}` : ""}.`;
}

function joints(shared) {
  const drawn = shared.flatMap((neurons, layer) => (neurons.length ? [drawing("path", { d: `M${layer + 0.5} 0V26` }, drawing("title", {}, neurons.map((neuron) => neuronName(layer, neuron)).join(", ")))] : []));
  const labels = shared.map((neurons) => element("li", { textContent: neurons.length ? "shared" : "" }));
  return element("div", { className: "sheet", style: `--layers:${depth};height:26px` }, layers(26, "joints", ...drawn), element("ol", { style: `--layers:${depth}` }, ...labels));
}

function markShared(place, shared) {
  shared.forEach((neurons, layer) => neurons.forEach((neuron) => place.querySelector(`.box.path[data-neuron="${neuronKey(layer, neuron)}"]`)?.classList.add("shared")));
}

function supportTable(first, second) {
  const [one, other] = [pathOf(first), pathOf(second)];
  const rows = one.flatMap((neurons, layer) => [...new Set([...neurons, ...other[layer]])].map((neuron) => {
    const part = neurons.includes(neuron) ? (other[layer].includes(neuron) ? "both" : pathName(first, second)) : pathName(second, first);
    return [
      { text: neuronName(layer, neuron), node: neuronLink(layer, neuron) }, { text: part },
      ...[first, second].map(({ search, category }) => ({ text: supportText(search, category, layer, neuron) })),
    ];
  }));
  const heads = ["neuron", "on the path of", ...[[first, second], [second, first]].map(([strip, next]) => `images of ${pathName(strip, next)}`)];
  return table(`Support of the neurons of ${pathName(first, second)} and ${pathName(second, first)}`, heads, rows);
}

function showComparison() {
  const second = beside();
  $("compared").hidden = second === null;
  if (second === null) {
    for (const id of ["joints", "strip-beside", "support"]) $(id).replaceChildren();
    return;
  }
  const [upper, lower] = [stripOf(chosen.m, chosen.c), stripOf(second.search, second.category)];
  const shared = sharedNeurons(upper, lower);
  $("sentence").textContent = sentence(upper, lower);
  $("joints").replaceChildren(joints(shared));
  drawStrip($("strip-beside"), lower, titleOf(lower));
  markShared($("strip"), shared);
  markShared($("strip-beside"), shared);
  $("support").replaceChildren(supportTable(upper, lower));
  const scrolled = [...document.querySelectorAll("#strip .scroll, #strip-beside .scroll, #joints")];
  for (const node of scrolled) node.onscroll = () => scrolled.forEach((other) => { if (other.scrollLeft !== node.scrollLeft) other.scrollLeft = node.scrollLeft; });
}
