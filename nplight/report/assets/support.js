// How many of a category's images have a neuron on their path: the most used neurons of each category are on the page.

const shares = new Map();

// Neuron -> share of the images, of a category in a search; `rest` bounds the share of those that are not in it.
function sharesOf(search, category) {
  const key = `${category} ${search}`;
  if (!shares.has(key)) {
    const { use, strips } = searchData(search);
    const images = use.images[category] || 1;
    const found = new Map();
    let [total, least] = [0, Infinity];
    for (let entry = use.start[category]; entry < use.start[category + 1]; entry++) {
      found.set(neuronKey(use.layer[entry], use.neuron[entry]), use.count[entry] / images);
      total += use.count[entry];
      least = Math.min(least, use.count[entry]);
    }
    const complete = strips.topK > 0 && total === use.images[category] * depth * strips.topK;
    for (const [layer, column] of stripOf(search, category).columns.entries())
      for (const box of column) if (box.neuron >= 0 && box.support !== null) found.set(neuronKey(layer, box.neuron), box.support);
    shares.set(key, { found, rest: complete ? 0 : least === Infinity ? null : least / images });
  }
  return shares.get(key);
}

function supportText(search, category, layer, neuron) {
  const { found, rest } = sharesOf(search, category);
  const share = found.get(neuronKey(layer, neuron));
  if (share !== undefined) return percent(share);
  return rest === 0 ? percent(0) : rest === null ? "–" : `at most ${percent(rest)}`;
}
