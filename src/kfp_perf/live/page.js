// Asks for the state once a second, and puts those parts into the page that have changed.
"use strict";
let seen = "";
async function look() {
  try {
    const answer = await fetch(`state?seen=${seen}`, { cache: "no-store" });
    if (answer.status === 200) {
      const { version, parts } = await answer.json();
      seen = version;
      for (const [id, html] of Object.entries(parts)) {
        const part = document.getElementById(id);
        if (part && part.dataset.html !== html) {
          part.dataset.html = html;
          part.innerHTML = html;
        }
      }
    }
    document.getElementById("away").hidden = true;
  } catch {
    document.getElementById("away").hidden = false;
  }
  setTimeout(look, 1000);
}
look();
