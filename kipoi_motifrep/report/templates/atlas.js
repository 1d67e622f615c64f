"use strict";
// The page is whole without this script: it adds the search among the factors.
(() => {
  const box = document.getElementById("find"), told = document.getElementById("found");
  const rows = [...document.querySelectorAll("#factors tbody tr")].map((row) => ({
    row, name: row.cells[0].textContent.trim().toLowerCase(), also: row.dataset.also.toLowerCase().split(" "),
  }));
  if (!box) return;
  box.closest("p").hidden = false;

  function find() {
    const word = box.value.trim().toLowerCase();
    const exact = rows.some((one) => one.name === word);
    let n = 0;
    for (const one of rows) {
      // A name in full is that factor alone; else all that hold it, and those whose motif is nearly the same.
      const shown = exact ? one.name === word : one.name.includes(word) || one.also.some((name) => name === word);
      one.row.hidden = !shown;
      n += shown;
    }
    told.textContent = word ? (n === 1 ? "1 factor" : `${n} factors`) : "";
    location.replace(`#find=${encodeURIComponent(box.value)}`);
  }

  box.addEventListener("input", find);
  const asked = /^#find=(.*)/.exec(location.hash);
  if (asked) {
    box.value = decodeURIComponent(asked[1]);
    find();
  }
})();
