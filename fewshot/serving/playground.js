"use strict";
const [form, texts, key, told, answers] = ["form", "texts", "key", "told", "answers"].map((id) => document.getElementById(id));

const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

const say = (text) => {
  told.textContent = text;
  told.hidden = !text;
};

const card = (text, found) => {
  const made = element("article", undefined, "card");
  made.append(element("p", text, "quiet"), element("h3", [found.label ?? found.status].flat().join(", ")));
  const shares = Object.entries(found.probabilities ?? {}).sort((one, other) => other[1] - one[1]).slice(0, 5);
  const table = element("table");
  for (const [label, share] of shares) {
    const row = element("tr");
    const bar = element("meter");
    bar.value = share;
    const cell = element("td");
    cell.append(bar);
    row.append(element("td", label), cell, element("td", (100 * share).toFixed(1) + " %", "n"));
    table.append(row);
  }
  if (shares.length) made.append(table);
  if (found.detail) made.append(element("p", found.detail, "note"));
  if (found.nearest?.length) {
    made.append(element("h4", answers.dataset.nearest));
    const near = element("table");
    for (const each of found.nearest) {
      const row = element("tr");
      row.append(element("td", each.text), element("td", each.label), element("td", each.similarity.toFixed(2), "n"));
      near.append(row);
    }
    made.append(near);
  }
  return made;
};

const ask = async () => {
  const lines = texts.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!lines.length) return;
  const headers = { "Content-Type": "application/json" };
  if (key.value) headers.Authorization = "Bearer " + key.value;
  try {
    const reply = await fetch("predict", { method: "POST", headers, body: JSON.stringify({ texts: lines, explain: true }) });
    const body = await reply.json();
    key.hidden = key.hidden && reply.status !== 401;
    say(reply.ok ? "" : body.error);
    if (reply.ok) answers.replaceChildren(...lines.map((line, at) => card(line, body.predictions[at])));
  } catch {
    say(answers.dataset.failed);
  }
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
texts.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
});
