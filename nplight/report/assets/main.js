// What a choice changes, and the first drawing of the page.

function showSearch() {
  for (const part of document.querySelectorAll("[data-search]")) part.hidden = part.dataset.search !== chosen.m;
  for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only === chosen.m;
  for (const part of document.querySelectorAll(".searched")) part.textContent = chosen.m;
}

function showAll(changed) {
  const any = (...names) => changed.some((name) => names.includes(name));
  showPickers();
  if (any("m")) showSearch();
  if (any("c", "m", "d", "o")) {
    showStrip();
    showComparison();
    showPictures();
    showNeighbours();
    redraw(plots.filter((plot) => plot.dataset.figure in fillers));
  } else if (any("i")) pressImages();
  if (any("c", "m")) showCategories();
  if (any("n", "m")) showNeuron(changed);
}

function connectSections() {
  // A link to a section must not take the choice out of the address.
  for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  });
}

setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
connectCharts();
connectSections();
for (const part of document.querySelectorAll("main .table:not(#by-category):has(h3):has(thead)")) connectTable(part);
$("choice").hidden = searches.length === 0;
if (searches.length) {
  $("choosers").hidden = searches.length < 2;
  $("others").hidden = searches.length < 2;
  connectPickers();
  connectCategories();
  connectNeurons();
  listeners.push(showAll);
  showAll(["c", "d", "m", "o", "n", "i"]);
}
performance.mark("first-chart");
watchCharts();
