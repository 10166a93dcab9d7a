// SPDX-License-Identifier: Apache-2.0
// What makes the page more comfortable; without it everything is there, in UTC and still.
const tools = document.getElementById("tools");
const kept = {
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* private windows */ } },
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Light, dark, or as the system is.
const themes = ["auto", "light", "dark"];
const theme = element("button", { type: "button" });
function paint() {
  const name = themes.includes(kept.get("theme")) ? kept.get("theme") : "auto";
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.textContent = `Theme: ${name}`;
}
theme.addEventListener("click", () => {
  kept.set("theme", themes[(themes.indexOf(kept.get("theme") ?? "auto") + 1) % themes.length]);
  paint();
});
paint();

// Times in the zone of whoever looks.
const two = (number) => String(number).padStart(2, "0");
function localise() {
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = time.dateTime;
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
      `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  }
  for (const zone of document.querySelectorAll(".zone")) zone.textContent = "local";
}

// Again every few seconds, unless somebody reads or types.
const again = element("input", { type: "checkbox", checked: kept.get("refresh") === "on" });
again.addEventListener("change", () => kept.set("refresh", again.checked ? "on" : "off"));
async function refresh() {
  const busy = document.hidden || document.querySelector("details[open]") ||
    document.activeElement?.closest("form") || String(getSelection());
  if (again.checked && !busy) {
    try {
      const answer = await fetch(location.href);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = fresh.querySelector("main");
      if (answer.ok && main) {
        document.querySelector("main").replaceWith(document.adoptNode(main));
        document.querySelector("footer").replaceWith(document.adoptNode(fresh.querySelector("footer")));
        wire();
      }
    } catch { /* the engine is away: the next time */ }
  }
  setTimeout(refresh, 5000);
}

// The event that a link leads to is open.
function openTarget() {
  document.getElementById(location.hash.slice(1) || "none")?.querySelector("details")?.setAttribute("open", "");
}
addEventListener("hashchange", openTarget);

// A namespace that is chosen is shown at once.
function wire() {
  localise();
  for (const select of document.querySelectorAll("select[name=namespace]"))
    select.addEventListener("change", () => select.form.requestSubmit());
  openTarget();
}

tools.append(element("label", {}, again, "refresh"), theme);
tools.hidden = false;
wire();
setTimeout(refresh, 5000);
