// Imports: the look at an archive is put into the page, so that the archive stays chosen for the import itself.
// Without this the form is posted as it is, and the archive chosen twice.

for (const form of document.querySelectorAll("form[data-import]")) {
  const box = form.querySelector(".progress");
  const bar = box.querySelector("progress");
  const said = box.querySelector("p");

  const show = (told) => {
    for (const id of ["outcome", "steps"]) {
      const there = told.getElementById(id);
      if (there) document.getElementById(id).replaceChildren(...there.childNodes);
    }
    if (told.getElementById("outcome")) return "";
    return told.querySelector("main")?.innerText.trim() || "The server's answer could not be read.";
  };
  // Another archive, or another folder, is another import: it has to be looked at first.
  form.addEventListener("change", (event) => {
    if (event.target.name !== "message") form.querySelector("[name=act][value=import]")?.remove();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    const leaving = (warning) => warning.preventDefault();
    const end = (words) => {
      removeEventListener("beforeunload", leaving);
      for (const button of form.querySelectorAll("button")) button.disabled = false;
      box.hidden = words === "";
      box.classList.toggle("wrong", words !== "");
      bar.hidden = true;
      said.textContent = words;
    };
    const sent = new FormData(form, event.submitter);
    addEventListener("beforeunload", leaving);
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    box.hidden = bar.hidden = false;
    box.classList.remove("wrong");
    said.textContent = "Uploading";
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.max = total;
      bar.value = loaded;
      said.textContent = loaded < total ? `${Math.floor((100 * loaded) / total)} %` : "Unpacking and comparing";
    });
    request.addEventListener("load", () => {
      if (request.getResponseHeader("Content-Type")?.startsWith("application/json")) {
        removeEventListener("beforeunload", leaving);
        location.assign(JSON.parse(request.responseText).go_on_to);
        return;
      }
      end(show(new DOMParser().parseFromString(request.responseText, "text/html")));
    });
    request.addEventListener("error", () => end("The connection broke. Nothing was imported; try again."));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html, application/json");
    request.send(sent);
  });
}
