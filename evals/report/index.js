"use strict";
// Keeps the list up to date. Texts go into the page as texts only.
const body = document.querySelector("tbody");

function row(run) {
  const line = document.createElement("tr");
  const link = document.createElement("a");
  link.href = run.link;
  link.textContent = run.name;
  for (const content of [link, run.what, run.learners, run.state, run.updated]) line.insertCell().append(content);
  line.cells[0].className = "name";
  return line;
}

let shown = "";
async function refresh() {
  try {
    const text = await (await fetch("/runs.json")).text();
    if (text !== shown) {
      const runs = JSON.parse(text);
      body.replaceChildren(...runs.map(row));
      document.querySelector("#empty").hidden = runs.length > 0;
      shown = text;
    }
  } catch {
    // The server has gone: the list stays as it is.
  }
}
setInterval(refresh, 2000);
