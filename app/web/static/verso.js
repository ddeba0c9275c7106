// What pages do beyond plain HTML; each of these is an addition to something that works without it.

document.documentElement.classList.add("scripted");

/** Menus close when somebody clicks elsewhere or presses Escape, as menus do. */
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}
document.addEventListener("click", (event) => closeMenus(event.target.closest?.("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (open === null) return;
  closeMenus(null);
  open.querySelector("summary").focus();
});

/** A single letter goes where the link or button with that data-key leads, unless somebody is writing. */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target !== null) {
    event.preventDefault();
    if (target.matches("input")) target.focus();
    else target.click();
  }
});

/** Where the tabs don't fit, the page's own is in sight. */
const tab = document.querySelector(".tabs [aria-current]");
if (tab !== null) tab.closest("ul").scrollLeft = tab.offsetLeft - 32;

/** Exact times in the reader's own zone, in the tooltip. */
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime*=T]")) {
  time.title = exact.format(new Date(time.dateTime));
}
