// Others' changes appear without a reload. The events are the truth (docs/events.md); a page that can't follow them
// is as good as before, and up to date when it is loaded again. Only the tab that is looked at has a stream.

const page = document.body.dataset;
const KINDS = ["change.added", "stage.reported", "comment.added", "comment.resolved", "comment.reopened", "comment.retracted",
  "review.added", "session.added", "session.edited", "tag.added", "project.edited", "project.archived", "project.reopened"];
const notices = document.getElementById("notices");
let seen = Number(page.seen);
let source = null;
let waiting = 0;

/** Whether somebody is in the middle of something there. */
function isInUse(part) {
  if (part.contains(document.activeElement)) return true;
  return [...part.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);
}

/** Parts of the page that show what happened are fetched anew; what somebody is typing in stays as it is. */
async function renew() {
  const parts = [...document.querySelectorAll("[data-live]")].filter((part) => !isInUse(part));
  if (parts.length === 0) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const there = fresh.querySelectorAll("[data-live]");
  const here = document.querySelectorAll("[data-live]");
  if (there.length !== here.length) return;
  here.forEach((part, at) => {
    if (!parts.includes(part) || part.innerHTML === there[at].innerHTML) return;
    part.replaceChildren(...there[at].childNodes);
  });
  document.dispatchEvent(new Event("verso:shown"));
}

function renewSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => renew().catch(() => {}), 250);
}

/** A quiet notice with a link, said once and aloud. */
function say(id, words, address, label) {
  document.getElementById(id)?.remove();
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.id = id;
  notice.append(words, " ");
  if (address) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = label;
    notice.append(link);
  }
  notices.append(notice);
}

const shown = document.querySelector("[data-document]")?.dataset;

function onChange(event) {
  if (shown === undefined || !shown.newest) return;
  const version = event.change?.versions.find((each) => each.document === shown.document);
  if (version === undefined || version.number <= Number(shown.newest)) return;
  const name = event.actor?.name || event.actor?.handle || "Somebody";
  const address = version.action === "delete" ? "" : `${page.home}/documents/${shown.document}/diff?from=${shown.newest}&to=${version.number}`;
  const did = version.action === "delete" ? "deleted this document" : `wrote version ${version.number} of this document`;
  const typing = shown.editing === undefined ? "" : " You can go on: your text is kept, and both are put together when you save.";
  say("newer", `${name} ${did}.${typing}`, address, "See what changed");
}

function take(message) {
  const event = JSON.parse(message.data);
  if (!(event.sequence > seen)) return;
  seen = event.sequence;
  if (event.kind === "change.added") onChange(event);
  renewSoon();
}

function follow() {
  if (source !== null || document.hidden) return;
  source = new EventSource(`${page.events}?after=${seen}`);
  for (const kind of KINDS) source.addEventListener(kind, take);
  source.addEventListener("presence", (message) => takePresence(JSON.parse(message.data)));
  source.addEventListener("end", (message) => {
    const { reason } = JSON.parse(message.data);
    if (reason !== "token_expired" && reason !== "server_stopping") {
      leave();
      say("ended", "You no longer follow this project here.", location.href, "Load the page again");
    }
  });
  sayPresence();
}

function leave() {
  source?.close();
  source = null;
}

// Who else is here -----------------------------------------------------------------------------------------------

const device = (() => {
  const known = sessionStorage.getItem("verso-device");
  if (known !== null) return known;
  const made = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  sessionStorage.setItem("verso-device", made);
  return made;
})();

function cookie(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`) || each.startsWith(`__Host-${name}=`));
  return found === undefined ? "" : found.slice(found.indexOf("=") + 1);
}

let others = new Map();

function tellPresence() {
  const place = document.getElementById("presence");
  if (place === null) return;
  const said = [...others.values()].map((each) => `${each.person.name || each.person.handle} ${each.state === "editing" ? "is editing" : "is looking"}`);
  const lines = [...new Set(said)].sort();
  place.textContent = lines.slice(0, 3).join(", ") + (lines.length > 3 ? ` and ${lines.length - 3} more` : "");
  place.hidden = lines.length === 0;
}

/** Who is at this document, of whom a frame or an answer says something. */
function takePresence({ complete, present, gone }) {
  if (complete) others = new Map();
  for (const each of gone) others.delete(`${each.person} ${each.device}`);
  for (const each of present) {
    const key = `${each.person.id} ${each.device}`;
    if (each.document === shown?.document && each.person.id !== page.me) others.set(key, each);
    else others.delete(key);
  }
  tellPresence();
}

async function sayPresence(state) {
  if (shown === undefined || !page.presence) return;
  const said = { device, state: state ?? (shown.editing === undefined ? "viewing" : "editing"), document: shown.document, seconds: 45 };
  const answer = await fetch(page.presence, {
    method: "PUT",
    keepalive: state === "gone",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": cookie("verso-csrf") },
    body: JSON.stringify(said),
  }).catch(() => null);
  if (answer?.ok && state !== "gone") takePresence({ complete: true, present: (await answer.json()).items, gone: [] });
}

if (page.events) {
  follow();
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", () => {
    leave();
    sayPresence("gone");
  });
  addEventListener("pageshow", (event) => event.persisted && follow());
  setInterval(() => source !== null && sayPresence(), 20000);
}
