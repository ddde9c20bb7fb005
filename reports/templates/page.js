"use strict";
// Hover over or tap an optimizer to dim the others in all figures and tables; tap a point to read its tip; switch
// convergence between images and seconds. Without this script the page shows everything at once.
const parts = [...document.querySelectorAll("[data-of]")];
const keysOf = (part) => part.dataset.of.split(" ");
let held = null;

function focusOn(key) {
  for (const part of parts) part.classList.toggle("dim", key !== null && !keysOf(part).includes(key));
}

for (const part of parts) {
  const [key, ...others] = keysOf(part);
  if (others.length || !key) continue;
  part.classList.add("live");
  part.addEventListener("pointerenter", (event) => {
    if (held === null && event.pointerType === "mouse") focusOn(key);
  });
  part.addEventListener("pointerleave", (event) => {
    if (held === null && event.pointerType === "mouse") focusOn(null);
  });
}
for (const card of document.querySelectorAll(".card[data-of]")) {
  card.tabIndex = 0;
  card.setAttribute("role", "button");
  card.setAttribute("aria-pressed", "false");
  card.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") card.click();
  });
}

const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);

document.addEventListener("click", (event) => {
  const point = event.target.closest("svg use, svg [data-of]");
  const title = point && point.querySelector(":scope > title");
  tip.hidden = !title;
  if (title) {
    tip.textContent = title.textContent;
    tip.style.top = `${event.pageY + 12}px`;
    tip.style.left = `${Math.max(8, Math.min(event.pageX - 40, document.documentElement.clientWidth - 290))}px`;
  }
  const part = event.target.closest("[data-of]");
  const key = part && keysOf(part).length === 1 ? keysOf(part)[0] : null;
  if (event.target.closest("summary, a, pre, .switch")) return;
  held = key === held ? null : key;
  focusOn(held);
  for (const card of document.querySelectorAll(".card[data-of]")) {
    card.setAttribute("aria-pressed", String(card.dataset.of === held));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  tip.hidden = true;
  held = null;
  focusOn(null);
});

for (const other of document.querySelectorAll("figure[data-instead-of]")) {
  const first = document.getElementById(other.dataset.insteadOf);
  if (!first) continue;
  other.classList.add("put-away");
  const choice = document.createElement("button");
  choice.type = "button";
  choice.className = "switch";
  choice.textContent = "Show against seconds";
  choice.addEventListener("click", () => {
    const away = other.classList.toggle("put-away");
    first.classList.toggle("put-away", !away);
    choice.textContent = `Show against ${away ? "seconds" : document.body.dataset.things || "images"}`;
  });
  first.before(choice);
}
