// Filters the ledger; without it every claim is there to read.
"use strict";
const form = document.getElementById("filter");
const found = form.querySelector("output");
const groups = [...document.querySelectorAll("#rows tbody")].map((body) => ({
  body,
  source: body.dataset.source,
  words: body.querySelector(".claim").textContent.toLowerCase(),
  rows: [...body.querySelectorAll("tr[data-verdict]")].map((row) => ({
    row,
    verdict: row.dataset.verdict,
    words: (row.dataset.id + " " + row.textContent).toLowerCase(),
  })),
}));

function filter() {
  const source = form.elements.source.value;
  const verdict = form.elements.verdict.value;
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  let all = 0;
  for (const group of groups) {
    let some = false;
    for (const one of group.rows) {
      const right = !verdict || one.verdict === verdict || (verdict === "decided" && !one.verdict.startsWith("not run"));
      const fits = (!source || group.source === source) && right;
      const on = fits && words.every((word) => one.words.includes(word) || group.words.includes(word));
      one.row.toggleAttribute("data-off", !on);
      some ||= on;
      shown += on;
      all += 1;
    }
    group.body.toggleAttribute("data-off", !some);
  }
  found.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
}

form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
for (const link of document.querySelectorAll("a[data-verdict]")) {
  link.addEventListener("click", () => {
    form.elements.source.value = link.dataset.source;
    form.elements.verdict.value = link.dataset.verdict;
    form.elements.words.value = "";
    filter();
  });
}
form.hidden = false;
filter();
