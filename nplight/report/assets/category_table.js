// The table by category of the chosen search: filtered by name, sorted, and shown in pages of a hundred rows.

const ROWS = 100;
const categoryTable = { sorted: 0, direction: 1, wanted: "", all: false };

function categoryColumns(search) {
  const { categories } = searchData(search);
  if (!categories) return [];
  const text = (value, digits) => percent(value, digits);
  const standing = (place) => (categories.removed[place] === null || categories.random[place] === null ? null : categories.removed[place] < categories.random[place] ? "lower" : "not lower");
  const columns = [{ head: "category", value: (place) => data.names[place], text: (place) => data.names[place] }];
  const add = (head, values, digits, more = () => "") => values?.some((value) => value !== null)
    && columns.push({ head, value: (place) => values[place], text: (place) => text(values[place], digits) + more(place) });
  columns.push({ head: "searched images", value: (place) => categories.images[place], text: (place) => String(categories.images[place]) });
  add("their top-1", categories.correct, 1, (place) => (categories.correct[place] === null ? "" : ` (${percent(categories.correctLow[place])} … ${percent(categories.correctHigh[place])})`));
  add("Δ prob., path removed", categories.removed, 2);
  add("Δ prob., random removed", categories.random, 2);
  if (categories.removed && categories.random) columns.push({ head: "path against random", value: standing, text: (place) => standing(place) ?? "–" });
  if (categories.tested) columns.push({ head: "held-out images", value: (place) => categories.tested[place], text: (place) => String(categories.tested[place] ?? "–") });
  add("path shared by two images", categories.alike, 1);
  return columns;
}

function categoryOrder(columns) {
  const { sorted, direction, wanted } = categoryTable;
  const places = data.names.map((_, place) => place).filter((place) => data.names[place].toLowerCase().includes(wanted));
  const { value } = columns[Math.min(sorted, columns.length - 1)];
  if (sorted === 0) return direction > 0 ? places : places.reverse();
  return places.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    return direction * (typeof one === "string" ? one.localeCompare(other) : one - other);
  });
}

function fillCategories() {
  const columns = categoryColumns(chosen.m);
  const places = columns.length ? categoryOrder(columns) : [];
  const shown = categoryTable.all ? places : places.slice(0, ROWS);
  $("category-rows").replaceChildren(...shown.map((place) => element("tr", { className: place === chosen.c ? "chosen" : "" },
    ...columns.map(({ head, text }, column) => {
      const cell = element(column ? "td" : "th", column ? {} : { scope: "row" });
      cell.dataset.head = head;
      if (column) cell.textContent = text(place);
      else {
        const button = element("button", { type: "button", className: "link", textContent: text(place) });
        button.addEventListener("click", () => choose({ c: place }));
        cell.append(button);
      }
      return cell;
    }))));
  $("category-count").textContent = !columns.length ? `The search ${chosen.m} has no image paths.` : places.length > shown.length ? `${shown.length} of ${places.length} categories` : `${places.length} categories`;
  $("category-all").hidden = places.length <= shown.length;
}

function showCategories() {
  const grid = document.querySelector("#by-category table");
  if (!grid) return;
  const columns = categoryColumns(chosen.m);
  grid.tHead.rows[0].replaceChildren(...columns.map(({ head }) => element("th", { scope: "col", textContent: head })));
  sortButtons(grid, (column) => {
    categoryTable.direction = categoryTable.sorted === column ? -categoryTable.direction : 1;
    categoryTable.sorted = column;
    markSorted(grid, column, categoryTable.direction);
    fillCategories();
  });
  if (columns.length) markSorted(grid, Math.min(categoryTable.sorted, columns.length - 1), categoryTable.direction);
  $("category-search").textContent = chosen.m ?? "";
  fillCategories();
}

function connectCategories() {
  if (!$("by-category")) return;
  $("category-find").addEventListener("input", () => {
    Object.assign(categoryTable, { wanted: $("category-find").value.trim().toLowerCase(), all: false });
    fillCategories();
  });
  $("category-all").addEventListener("click", () => {
    categoryTable.all = true;
    fillCategories();
  });
  $("by-category").querySelector("h3").append(csvButton("Categories", () => {
    const columns = categoryColumns(chosen.m);
    return [columns.map(({ head }) => head), ...categoryOrder(columns).map((place) => columns.map(({ text }) => text(place)))];
  }));
}
