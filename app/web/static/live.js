// Others' changes appear without a reload. The events are the truth (docs/events.md); a page that can't follow them
// is as good as before, and up to date when it is loaded again. Only the tab that is looked at has a stream.

const page = document.body.dataset;
const KINDS = ["change.added", "stage.reported", "comment.added", "comment.resolved", "comment.reopened", "comment.retracted",
  "review.added", "session.added", "session.edited", "tag.added", "project.edited", "project.archived", "project.reopened", "project.rules_set",
  "member.added", "member.role_set", "member.removed", "member.account_ended",
  "invitation.added", "invitation.accepted", "invitation.declined", "invitation.revoked", "agent.added", "agent.rotated", "agent.revoked",
  "webhook.added", "webhook.edited", "webhook.rotated", "webhook.removed", "webhook.disabled", "content.erased", "content.bytes_deleted"];
const HISTORY = "change stage comment review session tag project";
const notices = document.getElementById("notices");
const happened = new Set();
let seen = Number(page.seen);
let source = null;
let waiting = 0;

function isChanged(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options === undefined) return field.value !== field.defaultValue;
  const said = [...field.options].some((each) => each.defaultSelected);
  return [...field.options].some((each, at) => each.selected !== (said ? each.defaultSelected : at === 0));
}

/** Whether somebody is in the middle of something there: has the focus, has typed, has opened it, or is told what is wrong. */
function isInUse(part) {
  if (part.contains(document.activeElement)) return true;
  if (part.matches("details[open], [role=alert]") || part.querySelector("details[open], [role=alert]") !== null) return true;
  return [...part.querySelectorAll("input:not([type=hidden]), textarea, select")].some(isChanged);
}

/** What a row of a list is known by; other elements, and rows without a link, only by their place. */
function nameOf(element) {
  if (element.id !== "" || !element.matches("li, tr")) return element.id;
  return element.querySelector("a[href]")?.getAttribute("href") ?? "";
}

/** An element in the fresh page: that of its name, else the same one among those of its kind. */
function counterpart(element, fresh) {
  const name = nameOf(element);
  const alike = (each) => each.tagName === element.tagName && each.className === element.className && nameOf(each) === name;
  return [...fresh.children].filter(alike)[[...element.parentNode.children].filter(alike).indexOf(element)];
}

/** Make a part what it is in the fresh page, but for what is in use in it: a form as a whole, and the way down to it. */
function merge(part, fresh) {
  if (part.isEqualNode(fresh) || part.matches("form, input, textarea, select, summary, a")) return;
  if (part.matches("[role=alert]") || [...part.children].some((each) => each.matches("[role=alert]"))) return;
  const kept = [...part.children].filter(isInUse);
  const places = new Map(kept.map((each) => [counterpart(each, fresh), each]));
  for (const node of [...part.childNodes]) if (!kept.includes(node)) node.remove();
  let at = 0;
  for (const node of [...fresh.childNodes]) {
    const there = places.get(node);
    if (there === undefined) {
      part.insertBefore(node, kept[at] ?? null);
    } else {
      merge(there, node);
      at = Math.max(at, kept.indexOf(there) + 1); // never moved: it would lose the focus
    }
  }
}

/** Parts of the page that show what happened are fetched anew; `data-live` has the nouns of the events that they are about. */
async function renew() {
  const here = [...document.querySelectorAll("[data-live]")];
  const wanted = here.map((part) => (part.dataset.live || HISTORY).split(" ").some((noun) => happened.has(noun)));
  happened.clear();
  if (!wanted.includes(true)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const there = fresh.querySelectorAll("[data-live]");
  if (there.length !== here.length) return;
  here.forEach((part, at) => wanted[at] && merge(part, there[at]));
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
  happened.add(event.kind.split(".")[0]);
  renewSoon();
}

function follow() {
  if (source !== null || document.hidden) return;
  source = new EventSource(`${page.events}?after=${seen}`);
  for (const kind of KINDS) source.addEventListener(kind, take);
  source.addEventListener("open", () => document.getElementById("ended")?.remove());
  source.addEventListener("error", () => {
    // Broken connections are tried again by the browser; after another answer than 200 it is for us to try.
    if (source?.readyState !== EventSource.CLOSED) return;
    leave();
    if (document.getElementById("ended") === null) say("ended", "This page is not kept up to date any more.", location.href, "Load it again");
    setTimeout(follow, 20000);
  });
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
