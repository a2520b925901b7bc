// The images of the chosen category: pointed at or chosen, an image's own path lies over the strip.

function ownPath(search, image) {
  return searchData(search).paths.slice(image * depth, (image + 1) * depth);
}

function layOver(image) {
  const sheet = document.querySelector("#strip .sheet");
  if (!sheet) return;
  sheet.querySelector(".own")?.remove();
  for (const node of sheet.querySelectorAll(".on")) node.classList.remove("on");
  for (const node of sheet.querySelectorAll(".other b")) node.remove();
  if (image === null) return;
  const strip = stripOf(chosen.m, chosen.c);
  const { rows, other, height } = geometry(strip);
  const columns = [...sheet.querySelectorAll("li")];
  const centres = ownPath(chosen.m, image).map((neuron, layer) => {
    const box = strip.columns[layer].findIndex((candidate) => candidate.neuron === neuron);
    if (box >= 0) {
      columns[layer].querySelectorAll(".box")[box].classList.add("on");
      return rows[box].centre;
    }
    columns[layer].querySelector(".other").classList.add("on");
    columns[layer].querySelector(".other").prepend(element("b", {}, neuronLink(layer, neuron)));
    return other.centre;
  });
  const lines = centres.slice(1).map((centre, layer) => drawing("path", { d: curve(layer, centres[layer], centre) }));
  sheet.append(layers(height, "own", ...lines));
}

function showImages(strip) {
  const search = searchData(strip.search);
  const [from, to] = [search.start[strip.category], search.start[strip.category + 1]];
  const chosenImage = chosen.i === null || chosen.i >= to - from ? null : from + chosen.i;
  $("images-of").textContent = to > from
    ? `${to - from} of the ${strip.images} images of category ${data.names[strip.category]} that were searched by ${strip.search}, with the label's probability: point at one, or choose it, to see its own path.`
    : "There are no image paths of this category.";
  $("own-paths").replaceChildren(...Array.from({ length: to - from }, (_, place) => {
    const image = from + place;
    const button = element("button", { type: "button", textContent: `${search.files[image]} · ${percent(search.probability[image])}`, "aria-pressed": String(image === chosenImage) });
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => layOver(image));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => layOver(current()));
    button.addEventListener("click", () => choose({ i: chosen.i === place ? null : place }));
    return button;
  }));
  const current = () => (chosen.i === null || chosen.i >= to - from ? null : from + chosen.i);
  layOver(chosenImage);
}

function pressImages() {
  const search = searchData(chosen.m);
  const buttons = [...$("own-paths").children];
  buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === chosen.i)));
  layOver(chosen.i === null || chosen.i >= buttons.length ? null : search.start[chosen.c] + chosen.i);
}
