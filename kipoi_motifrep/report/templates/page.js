"use strict";
// The page is whole without this script: it adds sorting, filtering, copying and saving.
(() => {
  const get = (id) => document.getElementById(id);
  const table = get("filter-table");

  // On paper nothing can be unfolded.
  const folded = [...document.querySelectorAll("#figures details, header details")];
  addEventListener("beforeprint", () => folded.forEach((one) => { one.dataset.was = one.open; one.open = true; }));
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = one.dataset.was === "true"; }));
  if (!table) return;

  const rows = [...table.tBodies].map((body) => {
    const keys = {};
    for (const cell of body.rows[0].cells) Object.assign(keys, cell.dataset);
    const names = [body.rows[0], ...body.querySelectorAll(".found")].map((one) => one.textContent);
    return { body, keys, text: names.join(" ").toLowerCase(), outputs: (body.dataset.for || "").split(" ") };
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

  function button(words, press) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    made.addEventListener("click", press);
    return made;
  }

  for (const header of table.tHead.querySelectorAll("[data-sort]")) {
    const made = button("", () => sort(header));
    made.append(...header.childNodes);
    header.append(made);
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

  // Saving and copying: files are made here, of what the page holds.
  const say = (words) => { get("shown").textContent = words; };

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name.replace(/[^\w.-]+/g, "_");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`${link.download} saved`);
  }

  const nameOf = (row) => row.body.rows[0].cells[0].firstChild.textContent.trim();

  function meme(row) {
    const columns = row.body.querySelector("[data-pwm]").dataset.pwm.split(";").map((column) => {
      const [a, c, g] = column.split(",").map(Number);
      return [a, c, g, Math.max(0, 10000 - a - c - g)].map((one) => (one / 10000).toFixed(4)).join(" ");
    });
    return "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\n"
      + `A 0.25 C 0.25 G 0.25 T 0.25\n\nMOTIF ${nameOf(row).replace(/\s+/g, "_")}\n`
      + `letter-probability matrix: alength= 4 w= ${columns.length} nsites= ${columns.length} E= 0\n`
      + columns.map((column) => `${column}\n`).join("");
  }

  async function copy(row, pressed) {
    const text = meme(row);
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // not allowed, or too old: the way of before
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(`${nameOf(row)} copied as MEME`);
    const words = pressed.textContent;
    pressed.textContent = "Copied";
    setTimeout(() => { pressed.textContent = words; }, 2000);
  }

  function saveLogo(row) {
    const logo = row.body.querySelector(".picture svg").cloneNode(true);
    if (logo.querySelector("use")) flatten(logo);
    logo.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
    style.textContent = ".band{fill:#e3ecf7}.ax{fill:none;stroke:#767676;stroke-width:1}";
    logo.prepend(style);
    save(`${nameOf(row)}.svg`, "image/svg+xml", `${new XMLSerializer().serializeToString(logo)}\n`);
  }

  function saveTable() {
    const columns = { filter: nameOf, kind: (row) => row.body.dataset.kind, called: (row) => row.body.dataset.called,
      match: "name", motif: "motif", e_value: "e", q_value: "q", p_chance: "chance", fdr: "fdr", coverage: "coverage",
      sites: "sites", importance: "importanceChange", importance_output: "importanceOutput", planted: "plantedChange",
      planted_output: "plantedOutput", speaks_for: (row) => row.outputs.map((one) => {
        const option = one && document.querySelector(`#output [value="${one}"]`);
        return option ? option.textContent : "";
      }).join(", ") };
    const value = (row, of) => (typeof of === "string" ? row.keys[of] : of(row)) ?? "";
    const shown = rows.filter((row) => !row.body.hidden);
    const kept = Object.entries(columns).filter(([, of]) => rows.some((row) => value(row, of) !== ""));
    const lines = shown.map((row) => kept.map(([, of]) => value(row, of).replace(/\s+/g, " ")).join("\t"));
    save("filters.tsv", "text/tab-separated-values", [kept.map(([name]) => name).join("\t"), ...lines, ""].join("\n"));
  }

  // What is folded gets its buttons, and its bases their colours, when it is opened first.
  function unfold(details, row) {
    if (details.querySelector(".tools")) return;
    const tools = document.createElement("p");
    tools.className = "tools";
    tools.append(button("Copy motif (MEME)", (event) => copy(row, event.currentTarget)));
    if (row.body.querySelector(".picture svg")) tools.append(button("Save logo (SVG)", () => saveLogo(row)));
    details.querySelector("summary").after(tools);
    for (const text of details.querySelectorAll(".sites pre")) {
      const pieces = text.textContent.split(/^([A-Za-z]+)/m).map((piece, i) => i % 2 ? [...piece].map((base) => {
        const letter = document.createElement("i");
        letter.className = base.toUpperCase();
        letter.textContent = base;
        return letter;
      }) : [piece]);
      text.replaceChildren(...pieces.flat());
    }
  }

  for (const row of rows) {
    const details = row.body.querySelector(".more details");
    if (details) details.addEventListener("toggle", () => { if (details.open) unfold(details, row); });
  }

  function filter() {
    const words = get("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = get("kind").value, output = get("output") ? get("output").value : "";
    const kinds = { called: (row) => row.body.dataset.called === "yes", chance: (row) => row.body.matches(".chance") };
    const isKind = kinds[kind] || ((row) => !kind || row.body.dataset.kind === kind);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.text.includes(word)) && isKind(row)
        && (!output || row.outputs.includes(output));
      row.body.hidden = !fits;
      shown += fits;
    }
    say(shown === rows.length ? `${shown} filters` : `${shown} of ${rows.length} filters`);
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
  get("save").addEventListener("click", saveTable);
  get("open").addEventListener("click", () => {
    const details = table.querySelectorAll(".more > td > details");
    const open = ![...details].every((one) => one.open);
    for (const one of details) one.open = open;
    get("open").textContent = open ? "Close all details" : "Open all details";
  });
  addEventListener("hashchange", () => {
    const target = get(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      reset();
      target.scrollIntoView();
    }
  });
  filter();
})();
