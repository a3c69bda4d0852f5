"use strict";
const theme = document.querySelector("#theme");
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme === "dark" ||
    (root.style.colorScheme === "" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.style.colorScheme = dark ? "light" : "dark";
});

const body = document.querySelector(".errors tbody");
if (body) {
  const rows = [...body.rows];
  const gold = document.querySelector("#gold");
  const predicted = document.querySelector("#predicted");
  const words = document.querySelector("#words");
  const soft = document.querySelector("#soft");
  const count = document.querySelector("#count");

  const filter = () => {
    let shown = 0;
    for (const row of rows) {
      const fits = (!gold.value || row.dataset.gold === gold.value) &&
        (!predicted.value || row.dataset.predicted === predicted.value) &&
        (!soft.checked || row.dataset.also !== row.dataset.predicted) &&
        (!words.value.trim() || row.textContent.includes(words.value.trim()));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} / ${rows.length}`;
  };
  for (const control of [gold, predicted, words, soft]) control.addEventListener("input", filter);

  for (const link of document.querySelectorAll(".confusion a")) {
    link.addEventListener("click", () => {
      gold.value = link.dataset.gold;
      predicted.value = link.dataset.predicted;
      filter();
    });
  }

  const heads = [...document.querySelectorAll(".errors thead th")];
  const sort = (head, direction) => {
    const key = head.dataset.key;
    const sign = direction === "descending" ? -1 : 1;
    rows.sort((a, b) => sign * (Number(a.dataset[key]) - Number(b.dataset[key])));
    body.append(...rows);
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
  };
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () =>
      sort(head, head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending"));
  }
  filter();
}
