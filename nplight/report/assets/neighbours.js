// The categories that are nearest to the chosen one, and of many categories the paths that keep most of its accuracy.

function categoryButton(category) {
  const button = element("button", { type: "button", className: "link", textContent: data.names[category], title: "Show it beside the chosen category" });
  button.addEventListener("click", () => choose({ d: category }));
  return button;
}

function showNeighbours() {
  const place = $("nearest");
  if (!place) return;
  const near = searchData(chosen.m)?.nearest?.[chosen.c] ?? [];
  const rows = near.map(([category, cosine]) => [{ node: categoryButton(category) }, { text: cosine.toFixed(3) }]);
  const title = `Nearest categories to ${data.names[chosen.c]}, search ${chosen.m}`;
  place.replaceChildren(rows.length ? table(title, ["category", "cosine"], rows) : element("p", { className: "absent", textContent: `${title}: none has a neuron in common with it.` }));
  if (data.selectivity && $("kept-best")) {
    const best = data.selectivity.best[chosen.c].map(([category, accuracy]) => [{ node: categoryButton(category) }, { text: percent(accuracy) }]);
    const own = [{ text: `${data.names[chosen.c]} (its own)` }, { text: percent(data.selectivity.own[chosen.c]) }];
    $("kept-best").replaceChildren(table(`Top-1 of the images of ${data.names[chosen.c]} with one path kept alone`, ["path of", "top-1"], [own, ...best]));
  }
}
