// Images of the chosen category, and of the one beside it.

function sample([number, clean, removed, enhanced]) {
  const { source, file, label } = data.pictures.pictures[number];
  const title = `${file}, category ${data.names[label]}`;
  const lines = [`clean ${percent(clean)}`, `removed ${percent(removed)}`, `enhanced ${percent(enhanced)}`];
  return element("figure", {}, element("div", { className: "image" }, element("img", { src: source, alt: title, title })),
    element("figcaption", {}, ...lines.map((line) => element("div", { textContent: line }))));
}

function showPictures() {
  if (!$("samples")) return;
  const second = beside();
  const categories = second && second.category !== chosen.c ? [chosen.c, second.category] : [chosen.c];
  $("samples").replaceChildren(...categories.map((category) => {
    const cards = (data.pictures.samples[category] ?? []).map(sample);
    const content = cards.length ? cards : [element("p", { className: "absent", textContent: "There is no picture of this category." })];
    return element("div", {}, element("h4", { textContent: `Category ${data.names[category]}` }), element("div", { className: "gallery" }, ...content));
  }));
}
