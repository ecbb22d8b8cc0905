// Keys, time on the page, and sending again until the server has it. The page works without any of it.
"use strict";

const form = document.getElementById("judgement");
const guide = document.getElementById("guide");
const notice = document.getElementById("notice");
const wide = window.matchMedia("(min-width: 1000px)");

function say(words) {
  notice.textContent = words;
  notice.hidden = !words;
}

// The guidelines stay as they were left; on a phone they begin closed.
if (guide) {
  const kept = localStorage.getItem("guide");
  guide.open = wide.matches && kept !== "closed";
  guide.addEventListener("toggle", () => {
    if (wide.matches) localStorage.setItem("guide", guide.open ? "open" : "closed");
  });
}

if (form) {
  const token = form.elements.token.value;
  const draftName = "draft " + token;

  // Seconds in which the page was to be seen.
  let seen = 0;
  let since = document.hidden ? null : performance.now();
  const seconds = () => (seen + (since === null ? 0 : performance.now() - since)) / 1000;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      seen = seconds() * 1000;
      since = null;
    } else {
      since = performance.now();
    }
  });

  // What was chosen and written outlives a closed tab.
  const fields = () => [...form.elements].filter((field) => field.name && field.type !== "hidden" && field.type !== "submit");
  function keepDraft() {
    const values = fields().map((field) => (field.type === "radio" || field.type === "checkbox" ? field.checked : field.value));
    localStorage.setItem(draftName, JSON.stringify(values));
  }
  for (const name of Object.keys(localStorage)) {
    if (name.startsWith("draft ") && name !== draftName) localStorage.removeItem(name);
  }
  const draft = JSON.parse(localStorage.getItem(draftName) || "null");
  if (draft) {
    fields().forEach((field, i) => {
      if (field.type === "radio" || field.type === "checkbox") field.checked = draft[i] === true;
      else if (typeof draft[i] === "string") field.value = draft[i];
    });
  }
  form.addEventListener("input", keepDraft);

  let sending = false;
  async function send(body) {
    for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
      try {
        const answer = await fetch(form.action, {
          method: "POST",
          body,
          headers: { Accept: "application/json" },
          signal: AbortSignal.timeout(20000),
        });
        if (answer.status === 200 || answer.status === 400) return { status: answer.status, ...(await answer.json()) };
        if (answer.status < 500) return { status: answer.status, go: "/", said: "" };
      } catch {
        // No answer, or half of one: the same token makes it the same judgement, so it can be sent again.
      }
      say(form.dataset.noAnswer);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    form.elements.seconds.value = seconds().toFixed(2);
    const body = new URLSearchParams(new FormData(form, event.submitter));
    document.body.classList.add("sending");
    const { status, go, said } = await send(body);
    sending = false;
    document.body.classList.remove("sending");
    if (status === 400) {
      say(said);
      return;
    }
    localStorage.removeItem(draftName);
    location.replace(go);
  });
}

document.addEventListener("keydown", (event) => {
  const writing = event.target.matches("textarea, .comment, .enter input");
  if (event.key === "Escape" && writing) event.target.blur();
  if (form && event.key === "Enter" && event.isComposing !== true) {
    if (event.target.matches("button, summary")) return; // its own meaning
    if (event.target.matches("textarea") && !(event.ctrlKey || event.metaKey)) return; // a new line
    event.preventDefault();
    form.requestSubmit(document.getElementById("save"));
    return;
  }
  if (writing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  // The place of a key tells it, also where an input method is on.
  const key = event.code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase();
  const focus = document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  const target = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((one) => one.labels?.[0]?.offsetParent || one.offsetParent);
  if (!focus && !target) return;
  event.preventDefault();
  if (focus && focus.offsetParent) focus.focus();
  else if (target) {
    target.click();
    const text = target.closest(".answer")?.querySelector("textarea");
    if (text && target.checked) text.focus();
  }
});

// One mended answer at a time, that of the better one.
document.addEventListener("change", (event) => {
  if (event.target.name === "edit" && event.target.checked) {
    for (const other of document.getElementsByName("edit")) if (other !== event.target) other.checked = false;
  }
});
