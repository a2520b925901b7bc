// What is chosen, and the part of the address that says so: c and d the categories, m and o the searches, n the neuron,
// i the image whose own path is shown.

const searches = Object.keys(data.methods);
const depth = data.widths.length;
const defaults = () => ({ c: 0, d: null, m: searches[0] ?? null, o: data.beside ?? null, n: null, i: null });
const chosen = defaults();
const listeners = [];

function numberBelow(text, limit) {
  return /^\d+$/.test(text ?? "") && Number(text) < limit ? Number(text) : null;
}

function neuronNamed(text) {
  const [, layer, neuron] = /^L(\d+)N(\d+)$/.exec(text ?? "") ?? [];
  return layer !== undefined && Number(neuron) < (data.widths[layer] ?? 0) ? `L${Number(layer)}N${Number(neuron)}` : null;
}

const layerAndNeuron = (name) => /^L(\d+)N(\d+)$/.exec(name).slice(1).map(Number);
const neuronName = (layer, neuron) => `L${layer}·${neuron}`;
const neuronKey = (layer, neuron) => `L${layer}N${neuron}`;

// An address that says nothing of a choice leaves it as it is; another starts from the defaults.
function readAddress() {
  const hash = location.hash.slice(1);
  if (neuronNamed(hash)) return { n: neuronNamed(hash) };
  if (hash && !hash.includes("=")) return {};
  const parts = new URLSearchParams(hash);
  const search = (name) => (searches.includes(parts.get(name)) ? parts.get(name) : null);
  const found = defaults();
  found.c = numberBelow(parts.get("c"), data.names.length) ?? found.c;
  found.d = numberBelow(parts.get("d"), data.names.length);
  found.m = search("m") ?? found.m;
  found.o = parts.has("o") || parts.has("c") ? search("o") : found.o;
  found.n = neuronNamed(parts.get("n"));
  found.i = numberBelow(parts.get("i"), Infinity);
  return found;
}

function address() {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(chosen)) if (value !== null) parts.set(name, value);
  return `#${parts}`;
}

function show(changed) {
  for (const listener of listeners) listener(changed);
}

function choose(changes) {
  const changed = Object.keys(changes).filter((name) => chosen[name] !== changes[name]);
  if (!changed.length) return;
  Object.assign(chosen, changes);
  // The image is one of the chosen category and search.
  if ((changed.includes("c") || changed.includes("m")) && !("i" in changes)) chosen.i = null;
  history.pushState(null, "", address());
  show(changed);
}

window.addEventListener("hashchange", () => {
  const found = readAddress();
  const changed = Object.keys(found).filter((name) => chosen[name] !== found[name]);
  Object.assign(chosen, found);
  if (changed.length) show(changed);
});
Object.assign(chosen, readAddress());

// The second path beside the first: of another category, of another search, or of both.
const beside = () => (chosen.d === null && chosen.o === null ? null : { search: chosen.o ?? chosen.m, category: chosen.d ?? chosen.c });
const searchData = (name) => data.methods[name];
