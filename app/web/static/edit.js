// The editor: a tab keeps what is typed until it is saved, and saves with Ctrl+S. That it was saved is known by the next
// page's notice (verso.js), never guessed: a save may be refused, or meet an end of the session. What is kept is this
// tab's alone (sessionStorage) and of the account that typed it; it is gone with the tab.

for (const form of document.querySelectorAll("form[data-edit]")) {
  const text = form.querySelector("textarea");
  const offer = form.querySelector(".draft");
  // With the version that it began with: what others wrote since then is met when it is saved, not written over.
  const fields = ["text", "message", "path", "base", "ends"].map((name) => form.elements[name]).filter(Boolean);
  const key = `verso-draft ${document.body.dataset.me} ${form.dataset.edit}`;

  const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
  offer.hidden = kept === null || kept.text === text.value;
  offer.querySelector("[data-put-back]").addEventListener("click", () => {
    for (const field of fields) field.value = kept[field.name] ?? field.value;
    offer.hidden = true;
    text.focus();
  });
  offer.querySelector("[data-throw-away]").addEventListener("click", () => {
    sessionStorage.removeItem(key);
    offer.hidden = true;
    text.focus();
  });

  let waiting = 0;
  let going = false;
  const keep = (sent) => {
    clearTimeout(waiting);
    if (going || text.value === text.defaultValue) return;
    going = sent;
    try {
      const typed = fields.map((field) => [field.name, field.value]);
      sessionStorage.setItem(key, JSON.stringify({ ...Object.fromEntries(typed), sent }));
    } catch {
      // A very long text has no room there; leaving the page still warns.
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 400, false);
  });
  form.addEventListener("submit", () => keep(true));
  addEventListener("beforeunload", () => keep(false));
  addEventListener("pageshow", () => {
    going = false;
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}
