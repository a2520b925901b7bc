// A neuron's value at each patch, laid over the image: five stops of cividis, dark to light.

const STOPS = [[0, 34, 78], [64, 77, 107], [124, 123, 120], [187, 173, 108], [254, 232, 56]];

function heat(values, [rows, columns], what) {
  const canvas = element("canvas", { width: columns, height: rows, role: "img", "aria-label": what });
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

const heatLegend = () =>
  element("p", { className: "legend" }, element("span", { textContent: "0" }), element("span", { className: "scale", role: "img", "aria-label": "colour scale, dark to light" }), element("span", { textContent: "the image's maximum" }));

// Pictures that drive a neuron, by the neuron's key.
const drivers = new Map((data.pictures.drivers ?? []).map((driver) => [neuronKey(driver.layer, driver.neuron), driver]));

function drivingImage(layer, neuron, [number, value, patches]) {
  const { source, file, label } = data.pictures.pictures[number];
  const title = `${file}, category ${data.names[label]}, value ${value}`;
  const image = element("div", { className: "image" }, element("img", { src: source, alt: title, title }));
  if (patches.length) image.append(heat(patches, data.pictures.grid, `where ${neuronName(layer, neuron)} is large in ${file}`));
  return image;
}
