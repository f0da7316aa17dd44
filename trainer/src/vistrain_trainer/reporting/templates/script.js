// Under the pointer, or a finger, each chart says what its lines are there. The page is whole without it.
document.querySelectorAll("figure.chart").forEach((figure) => {
  const area = figure.querySelector(".frame"), source = figure.querySelector("script");
  if (!area || !source) return;
  const plot = JSON.parse(source.textContent), [low, high] = plot.x;
  const cursor = Object.assign(document.createElement("div"), { className: "cursor", hidden: true });
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  area.append(cursor, tip);
  const nearest = (places, place, stepped) => {
    let first = 0, last = places.length - 1;
    while (last - first > 1) {
      const middle = (first + last) >> 1;
      if (places[middle] <= place) first = middle; else last = middle;
    }
    return stepped || place - places[first] <= places[last] - place ? first : last;
  };
  const shareOf = (place) => (plot.logarithmic ? Math.log(place / low) / Math.log(high / low) : (place - low) / (high - low));
  const text = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(3) : +value.toPrecision(4));
  const show = (event) => {
    const box = area.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const place = plot.logarithmic ? low * (high / low) ** share : low + share * (high - low), rows = [];
    for (const line of plot.lines) {
      const at = nearest(line.x, place, line.stepped);
      if (!line.stepped && Math.abs(shareOf(line.x[at]) - share) > 0.06) continue;
      const row = document.createElement("div"), dot = document.createElement("i");
      dot.className = "s" + line.color;
      row.append(dot, `${line.label}: ${text(line.y[at])}`);
      rows.push(row);
    }
    const head = document.createElement("div");
    head.textContent = `${plot.name} ${text(place)}`;
    tip.replaceChildren(head, ...rows);
    cursor.hidden = tip.hidden = false;
    cursor.style.left = `${share * 100}%`;
    tip.style.left = share < 0.5 ? `calc(${share * 100}% + .6rem)` : "";
    tip.style.right = share < 0.5 ? "" : `calc(${100 - share * 100}% + .6rem)`;
  };
  area.addEventListener("pointermove", show);
  area.addEventListener("pointerdown", show);
  area.addEventListener("pointerleave", () => { cursor.hidden = tip.hidden = true; });
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
