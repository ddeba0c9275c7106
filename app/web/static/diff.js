// Differences: more lines, folded lines and forms for comments come into the page without leaving it.

/** The page at an address, as a document that isn't shown. */
async function pageAt(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function unfold(link) {
  const name = link.dataset.unfold;
  const page = await pageAt(link.href);
  const row = link.closest("tr");
  const bodies = page.querySelectorAll(`tbody[data-unfolded="${CSS.escape(name)}"] > tr`);
  if (bodies.length === 0) throw new Error("nothing to unfold");
  row.replaceWith(...bodies);
  bodies[0].querySelector("a")?.focus(); // where one was
}

async function showMore(link) {
  const page = await pageAt(link.href);
  const table = link.closest(".document").querySelector("table[data-diff]");
  const more = page.querySelectorAll("table[data-diff] > tbody");
  table.append(...more);
  link.closest("[data-parts]").replaceWith(page.querySelector("[data-parts]"));
  more[0].querySelector("a")?.focus();
}

/** The link that the form for a comment came from. */
let asked = null;

async function ask(link) {
  const id = link.dataset.into;
  const page = await pageAt(link.href);
  const made = page.getElementById(id);
  if (made === null) throw new Error("no form");
  const typed = document.getElementById("say-text")?.value ?? "";
  document.getElementById("say")?.remove(); // one form at a time; what is typed goes with it
  const there = document.getElementById(id);
  if (there === null) link.closest("tr").after(made);
  else there.replaceWith(made);
  link.removeAttribute("aria-busy");
  asked = link;
  const text = document.getElementById("say-text");
  if (text === null) return;
  text.value = typed;
  text.focus();
}

document.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const close = event.target.closest("[data-close]");
  if (close !== null) {
    event.preventDefault();
    const row = close.closest("tr.threads");
    close.closest("form").remove();
    asked?.focus();
    if (row !== null && row.querySelector(".thread") === null) row.remove();
    return;
  }
  for (const [name, act] of [["data-unfold", unfold], ["data-more", showMore], ["data-into", ask]]) {
    const link = event.target.closest(`a[${name}]`);
    if (link === null) continue;
    event.preventDefault();
    try {
      link.setAttribute("aria-busy", "true");
      await act(link);
    } catch {
      location.assign(link.href);
    }
    return;
  }
});
