"use strict";
// The page is whole without this script: it adds sorting and filtering.
(() => {
  const table = document.getElementById("filter-table");
  if (!table) return;
  const get = (id) => document.getElementById(id);
  const bodies = [...table.tBodies];
  const rows = bodies.map((body) => {
    const keys = {};
    for (const cell of body.rows[0].cells) Object.assign(keys, cell.dataset);
    return { body, keys, text: body.rows[0].textContent.toLowerCase(), outputs: (body.dataset.for || "").split(" ") };
  });

  function compare(a, b, key, sign) {
    const x = a.keys[key], y = b.keys[key];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined); // what is missing comes last
    const numbers = key !== "name" && key !== "for";
    return sign * (numbers ? x - y : x.localeCompare(y, "en", { numeric: true, sensitivity: "base" }))
      || a.keys.n - b.keys.n;
  }

  function sort(header) {
    const down = header.hasAttribute("aria-sort") ? header.getAttribute("aria-sort") === "ascending"
      : header.hasAttribute("data-down");
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort((a, b) => compare(a, b, header.dataset.sort, down ? -1 : 1));
    table.append(...rows.map((row) => row.body));
  }

  for (const header of table.tHead.querySelectorAll("[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header));
  }

  // A letter is drawn with <use>; moving tens of thousands of those takes a noticeable time. So, while nobody
  // waits, the letters of each logo become one path of each colour: the same picture from fewer pieces.
  const glyphs = {};
  for (const glyph of document.querySelectorAll("defs > path")) glyphs[`#${glyph.id}`] = glyph;

  function flatten(logo) {
    const outlines = {}, uses = logo.querySelectorAll("use");
    for (const use of uses) {
      const [, , , stretch, x, y] = use.getAttribute("transform").match(/[-.\d]+/g).map(Number);
      const letter = use.getAttribute("href");
      const outline = glyphs[letter].getAttribute("d").replace(/([.\d]+) ([.\d]+)/g,
        (_, a, b) => `${Math.round(10 * (+a + x)) / 10} ${Math.round(10 * (b * stretch + y)) / 10}`);
      outlines[letter] = (outlines[letter] || "") + outline;
    }
    for (const [letter, outline] of Object.entries(outlines)) {
      const path = glyphs[letter].cloneNode();
      path.removeAttribute("id");
      path.classList.add(letter.slice(1));
      path.setAttribute("d", outline);
      uses[0].before(path);
    }
    for (const use of uses) use.remove();
  }

  const logos = [...table.querySelectorAll("svg.logo")];
  const later = window.requestIdleCallback || ((work) => setTimeout(() => work({ timeRemaining: () => 10 }), 20));
  later(function work(deadline) {
    while (logos.length && deadline.timeRemaining() > 2) flatten(logos.shift());
    if (logos.length) later(work);
    else table.dataset.flat = "";
  });

  function filter() {
    const words = get("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = get("kind").value, output = get("output") ? get("output").value : "";
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.text.includes(word)) && (!kind || row.body.dataset.kind === kind)
        && (!output || row.outputs.includes(output));
      row.body.hidden = !fits;
      shown += fits;
    }
    get("shown").textContent = shown === rows.length ? `${shown} filters` : `${shown} of ${rows.length} filters`;
    get("nothing").hidden = shown > 0;
  }

  function reset() {
    get("controls").reset();
    filter();
  }

  const controls = get("controls");
  controls.hidden = false;
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  get("reset").addEventListener("click", reset);
  get("open").addEventListener("click", () => {
    const details = table.querySelectorAll("details");
    const open = ![...details].every((one) => one.open);
    for (const one of details) one.open = open;
    get("open").textContent = open ? "Close all details" : "Open all details";
  });
  window.addEventListener("hashchange", () => {
    const target = get(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      reset();
      target.scrollIntoView();
    }
  });
  filter();
})();
