// Tables: sorted by any heading, and downloaded as CSV.

function numberIn(text) {
  const found = /^[^\d−+-]*([−+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)/i.exec(text.trim());
  return found ? Number(found[1].replace("−", "-").replaceAll(",", "")) : null;
}

// Empty cells last; numbers by their value, other texts by the alphabet.
function compareCells(one, other, numeric) {
  if (!numeric) return one.localeCompare(other, "en", { numeric: true });
  const [a, b] = [numberIn(one), numberIn(other)];
  return a === null || b === null ? (a === null) - (b === null) : a - b;
}

function isNumeric(texts) {
  const filled = texts.filter((text) => text.trim() && text.trim() !== "–");
  return filled.length > 0 && filled.every((text) => numberIn(text) !== null && /^[^a-z]*[\d−+-]/i.test(text.trim()));
}

const cellText = (cell) => (cell?.innerText ?? cell?.textContent ?? "").trim().replace(/\s*\n\s*/g, " ");

function sortRows(grid, column) {
  const head = grid.tHead.rows[0].cells[column];
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const rows = [...grid.tBodies[0].rows];
  const numeric = isNumeric(rows.map((row) => row.cells[column].textContent));
  rows.sort((a, b) => direction * compareCells(a.cells[column].textContent, b.cells[column].textContent, numeric));
  grid.tBodies[0].append(...rows);
  markSorted(grid, column, direction);
}

function markSorted(grid, column, direction) {
  [...grid.tHead.rows[0].cells].forEach((cell, place) => {
    if (place === column) cell.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  });
}

const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csv = (rows) => rows.map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";

function download(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const fileName = (title) => `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80) || "table"}.csv`;

function csvButton(title, rows) {
  const button = element("button", { type: "button", className: "csv", textContent: "CSV", title: `Download ${title} as CSV` });
  button.addEventListener("click", () => download(fileName(title), csv(rows())));
  return button;
}

function sortButtons(grid, sort) {
  [...grid.tHead.rows[0].cells].forEach((cell, column) => {
    const button = element("button", { type: "button", className: "sort" }, ...cell.childNodes);
    button.addEventListener("click", () => sort(column));
    cell.replaceChildren(button);
  });
}

// A table of the page itself: its rows are those that the template wrote.
function connectTable(part) {
  const grid = part.querySelector("table");
  const title = part.querySelector("h3").textContent;
  sortButtons(grid, (column) => sortRows(grid, column));
  part.querySelector("h3").append(csvButton(title, () => [...grid.rows].map((row) => [...row.cells].map(cellText))));
}

// A table of the script's: cells as {text, node}.
function table(title, heads, rows) {
  const body = element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell, place) => {
    const made = element(place ? "td" : "th", place ? {} : { scope: "row" }, cell.node ?? cell.text);
    made.dataset.head = heads[place];
    return made;
  }))));
  const grid = element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col", textContent: head })))), body);
  const part = element("div", { className: heads.length > 4 ? "table free wide" : "table free" }, element("h3", { textContent: title }), element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": title }, grid));
  connectTable(part);
  return part;
}
