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

/** A single letter goes where the link or button with that data-key leads, unless somebody is writing or wants none. */
const noKeys = "verso-no-keys";
for (const button of document.querySelectorAll("[data-keys]")) {
  const tell = () => button.setAttribute("aria-pressed", String(localStorage.getItem(noKeys) === null));
  button.addEventListener("click", () => {
    if (localStorage.getItem(noKeys) === null) localStorage.setItem(noKeys, "1");
    else localStorage.removeItem(noKeys);
    tell();
  });
  tell();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target !== null && localStorage.getItem(noKeys) === null) {
    event.preventDefault();
    if (target.matches("input")) target.focus();
    else target.click();
  }
});

/** What is typed into a text field and not sent is warned of before the page is left. */
let sending = false;
addEventListener("submit", (event) => {
  sending = !event.defaultPrevented;
});
addEventListener("pageshow", () => {
  sending = false;
});
addEventListener("beforeunload", (event) => {
  const fields = [...document.querySelectorAll("textarea:not([readonly], [data-import] *)")]; // those are sent by a script
  if (!sending && fields.some((each) => each.value !== each.defaultValue || "unsaved" in each.dataset)) event.preventDefault();
});

/** What the tab kept of a text (edit.js) is needed no more when the page after it says that it was saved: not when one goes back to that page. */
const isNew = performance.getEntriesByType("navigation")[0]?.type === "navigate";
if (isNew && document.querySelector("[data-done=saved], [data-done=merged], [data-done=unchanged]") !== null) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith("verso-draft ") && JSON.parse(sessionStorage.getItem(key)).sent) sessionStorage.removeItem(key);
  }
}

/** Where the tabs don't fit, the page's own is in sight. */
const tab = document.querySelector(".tabs [aria-current]");
if (tab !== null) tab.closest("ul").scrollLeft = tab.offsetLeft - 32;

/** Exact times in the reader's own zone, in the tooltip; how long ago it was stays true while the page is open. */
const exact = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
function tellTimes() {
  for (const time of document.querySelectorAll("time[datetime*=T]")) {
    const moment = new Date(time.dateTime);
    time.title = exact.format(moment);
    const minutes = Math.floor((Date.now() - moment) / 60000);
    if (minutes < 1 || !/ago$|now$/.test(time.textContent)) continue;
    const [number, unit] = minutes < 60 ? [minutes, "minute"] : minutes < 1440 ? [Math.floor(minutes / 60), "hour"] : [Math.floor(minutes / 1440), "day"];
    time.textContent = `${number} ${unit}${number === 1 ? "" : "s"} ago`;
  }
}
tellTimes();
setInterval(tellTimes, 30000);
document.addEventListener("verso:shown", tellTimes);
