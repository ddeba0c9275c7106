// Imports: what was said of an archive or of a history is put into the page, so that the file stays chosen for the
// import itself. Without this the form is posted as it is, and the file chosen twice. A history's import is answered
// while it goes on, in lines of JSON: how far it is, and in the last one the words for the page.

for (const form of document.querySelectorAll("form[data-import]")) {
  const box = form.querySelector(".progress");
  const bar = box.querySelector("progress");
  const said = box.querySelector("p");

  const show = (text) => {
    const told = new DOMParser().parseFromString(text, "text/html");
    let found = false;
    for (const part of form.querySelectorAll("[data-told]")) {
      const there = told.getElementById(part.id);
      if (there) part.replaceChildren(...there.childNodes);
      found ||= Boolean(there);
    }
    if (found) return "";
    return told.querySelector("main")?.innerText.trim() || "The server's answer could not be read.";
  };
  const count = (done, total, words) => {
    if (total) bar.max = total;
    if (total) bar.value = done;
    else bar.removeAttribute("value");
    said.textContent = words;
  };
  const number = (value) => value.toLocaleString("en");
  // The lines that came since the last look; the last one is whole only when the answer is.
  const lines = function* (request, state) {
    for (let end; (end = request.responseText.indexOf("\n", state.at)) >= 0; state.at = end + 1)
      yield JSON.parse(request.responseText.slice(state.at, end));
  };
  // Another file, or other choices, are another import: it has to be looked at first.
  form.addEventListener("change", (event) => {
    if (event.target.name !== "message") form.querySelector("[name=act][value=import]")?.remove();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    const state = { at: 0, html: "" };
    const leaving = (warning) => warning.preventDefault();
    const end = (words) => {
      removeEventListener("beforeunload", leaving);
      for (const button of form.querySelectorAll("button")) button.disabled = false;
      box.hidden = words === "";
      box.classList.toggle("wrong", words !== "");
      bar.hidden = true;
      said.textContent = words;
    };
    const kind = () => request.getResponseHeader("Content-Type") || "";
    const follow = () => {
      if (!kind().startsWith("application/x-ndjson")) return;
      for (const line of lines(request, state)) {
        if (line.html !== undefined) state.html = line.html;
        else count(line.done, line.total, line.total ? `${number(line.done)} of ${number(line.total)} ${line.what}` : line.what);
      }
    };
    const sent = new FormData(form, event.submitter);
    addEventListener("beforeunload", leaving);
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    box.hidden = bar.hidden = false;
    box.classList.remove("wrong");
    said.textContent = "Uploading";
    request.upload.addEventListener("progress", ({ loaded, total }) =>
      count(loaded, total, loaded < total ? `${Math.floor((100 * loaded) / total)} %` : form.dataset.words),
    );
    request.addEventListener("progress", follow);
    request.addEventListener("load", () => {
      if (kind().startsWith("application/json")) {
        removeEventListener("beforeunload", leaving);
        location.assign(JSON.parse(request.responseText).go_on_to);
        return;
      }
      follow();
      const broken = kind().startsWith("application/x-ndjson") && state.html === "";
      end(broken ? form.dataset.broken : show(state.html || request.responseText));
    });
    request.addEventListener("error", () => end(form.dataset.broken));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", form.dataset.accept);
    request.send(sent);
  });
}
