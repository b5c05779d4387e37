"use strict";
// Sorting and filtering. Without this script the report shows everything, best first.
const number = (cell) => {
  const value = parseFloat(cell.dataset.value ?? cell.textContent);
  return Number.isNaN(value) ? -Infinity : value;
};

function sortBy(table, column, head) {
  const descending = head.getAttribute("aria-sort") !== "descending";
  const numeric = head.classList.contains("n");
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]];
    const order = numeric ? number(x) - number(y) : y.textContent.localeCompare(x.textContent);
    return descending ? -order : order;
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, column, head));
    head.append(button);
  });
}

const controls = document.querySelector(".controls");
if (controls) {
  const [wanted, baselines] = controls.querySelectorAll("input");
  const apply = () => {
    const words = wanted.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    for (const row of document.querySelectorAll("tr[data-learner]")) {
      const name = row.dataset.learner.toLocaleLowerCase();
      const fits = words.every((word) => name.includes(word));
      row.hidden = !fits || (!baselines.checked && row.classList.contains("baseline"));
    }
  };
  wanted.addEventListener("input", apply);
  baselines.addEventListener("change", apply);
  controls.hidden = false;
}
