// The fields above the page: search, category, the category and search beside them, previous, next, and the link.

function categoryNamed(text) {
  const wanted = text.trim();
  const exact = data.names.indexOf(wanted);
  if (exact >= 0) return exact;
  const number = numberBelow(wanted, data.names.length);
  if (number !== null) return number;
  const matches = data.names.map((_, place) => place).filter((place) => data.names[place].toLowerCase().startsWith(wanted.toLowerCase()));
  return wanted && matches.length === 1 ? matches[0] : null;
}

function takeCategory(input, name) {
  const category = categoryNamed(input.value);
  if (category === null && !(name === "d" && input.value.trim() === "")) {
    input.setAttribute("aria-invalid", "true");
    $("said").textContent = `There is no category ${input.value.trim()}.`;
    return;
  }
  choose({ [name]: category });
  showPickers();
}

function showPickers() {
  for (const [id, value] of [["category", chosen.c], ["beside", chosen.d]]) {
    $(id).value = value === null ? "" : data.names[value];
    $(id).removeAttribute("aria-invalid");
  }
  $("search").value = chosen.m;
  $("other").value = chosen.o ?? "";
  $("said").textContent = "";
}

function step(by) {
  const categories = data.names.length;
  choose({ c: (chosen.c + by + categories) % categories });
}

function connectPickers() {
  for (const [id, name] of [["category", "c"], ["beside", "d"]]) {
    $(id).addEventListener("change", () => takeCategory($(id), name));
    $(id).addEventListener("focus", () => $(id).select());
    $(id).addEventListener("input", (event) => {
      // A suggestion that was picked, not a letter that was typed.
      if (event.inputType === undefined || event.inputType === "insertReplacementText") takeCategory($(id), name);
    });
  }
  $("search").addEventListener("change", () => choose({ m: $("search").value }));
  $("other").addEventListener("change", () => choose({ o: $("other").value || null }));
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("copy").addEventListener("click", async () => {
    history.replaceState(null, "", address());
    try {
      await navigator.clipboard.writeText(location.href);
      $("said").textContent = "The link is copied.";
    } catch {
      $("said").textContent = "The browser does not let the page copy; the address has the link.";
    }
  });
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, textarea, [tabindex], .plot") || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (busy || $("choice").hidden) return;
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else return;
    event.preventDefault();
  });
}
