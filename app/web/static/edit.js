// The editor: a tab keeps what is typed until it is saved, warns before it is left, and saves with Ctrl+S.
// What is kept is this tab's alone (sessionStorage): it is gone with the tab, and no other account sees it.

for (const form of document.querySelectorAll("form[data-edit]")) {
  const text = form.querySelector("textarea");
  const offer = form.querySelector(".draft");
  const key = `verso-draft ${form.dataset.edit}`;
  const first = text.value;
  let left = false;

  const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
  if (kept !== null && kept.text !== first && !(kept.sent && kept.base !== form.dataset.base)) {
    offer.hidden = false;
  } else {
    sessionStorage.removeItem(key);
  }
  offer.querySelector("[data-put-back]").addEventListener("click", () => {
    text.value = kept.text;
    offer.hidden = true;
    text.focus();
  });
  offer.querySelector("[data-throw-away]").addEventListener("click", () => {
    sessionStorage.removeItem(key);
    offer.hidden = true;
    text.focus();
  });

  const keep = (sent) => {
    try {
      sessionStorage.setItem(key, JSON.stringify({ text: text.value, base: form.dataset.base, sent }));
    } catch {
      // A very long text has no room there; leaving the page still warns.
    }
  };
  let waiting = 0;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 400, false);
  });
  form.addEventListener("submit", () => {
    clearTimeout(waiting);
    keep(true);
    left = true;
  });
  addEventListener("beforeunload", (event) => {
    if (!left && text.value !== first) {
      keep(false);
      event.preventDefault();
    }
  });
  addEventListener("pageshow", () => {
    left = false;
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}
