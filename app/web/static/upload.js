// Uploads: files may be dropped, and their way is shown. Without this the form is posted as it is. A form with
// data-anywhere is hidden until files are dropped onto its page, and then sends them at once.

/** A number of bytes, as pages say it (shown.size). */
function size(bytes) {
  if (bytes < 1024) return `${bytes} byte${bytes === 1 ? "" : "s"}`;
  const step = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${["KB", "MB", "GB", "TB"][step - 1]}`;
}

function enhance(form) {
  const input = form.querySelector("input[type=file]");
  const anywhere = "anywhere" in form.dataset;
  const drop = anywhere ? document.body : form.querySelector(".drop");
  const chosen = form.querySelector(".chosen");
  const box = form.querySelector(".progress");
  const bar = box.querySelector("progress");
  const said = box.querySelector("p");

  const list = () => {
    chosen.replaceChildren(
      ...Array.from(input.files, (file) => {
        const item = document.createElement("li");
        item.textContent = `${file.name}, ${size(file.size)}`;
        return item;
      }),
    );
  };
  input.addEventListener("change", list);
  const tell = (words) => {
    form.hidden = box.hidden = false;
    bar.hidden = true;
    box.classList.add("wrong");
    said.textContent = words;
  };

  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
  });
  drop.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    drop.classList.remove("over");
    const isFolder = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry?.()).some((entry) => entry?.isDirectory);
    if (isFolder) {
      tell("A folder can't be dropped here. Drop its files, or import it as a zip.");
      return;
    }
    const files = new DataTransfer();
    for (const file of Array.from(event.dataTransfer.files).slice(0, input.multiple ? undefined : 1)) files.items.add(file);
    input.files = files.files;
    list();
    if (anywhere) {
      form.hidden = false;
      form.requestSubmit();
    }
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    const leaving = (warning) => warning.preventDefault();
    const end = (words) => {
      removeEventListener("beforeunload", leaving);
      button.disabled = false;
      tell(words);
    };
    addEventListener("beforeunload", leaving);
    button.disabled = true;
    box.hidden = bar.hidden = false;
    box.classList.remove("wrong");
    said.textContent = "Uploading";
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.max = total;
      bar.value = loaded;
      said.textContent = loaded < total ? `${Math.floor((100 * loaded) / total)} %` : "Storing";
    });
    request.addEventListener("load", () => {
      let told = {};
      try {
        told = JSON.parse(request.responseText);
      } catch {
        told = { detail: "The server's answer could not be read." };
      }
      if (request.status === 200 && told.go_on_to) {
        removeEventListener("beforeunload", leaving);
        location.assign(told.go_on_to);
        return;
      }
      const about = (told.items ?? []).map((each) => each.path).filter(Boolean).join(", ");
      const there = ["base_required", "already_exists"].includes(told.code);
      const words = there ? "There already. Choose to replace, or another folder" : (told.detail ?? "Nothing was uploaded.");
      end(about ? `${words}: ${about}` : words);
    });
    request.addEventListener("error", () => end("The connection broke. Nothing was uploaded; try again."));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(new FormData(form));
  });
}

for (const form of document.querySelectorAll("form[data-upload]")) enhance(form);
