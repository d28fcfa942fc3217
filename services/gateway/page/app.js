// The page: a list of stations, one station's own page, and the visitor's audio.
import { fill, GENRES, inks, make, sized } from "./format.js";
import { Heard } from "./heard.js";
import { ask, Link } from "./link.js";
import { Rows } from "./rows.js";
import { Station } from "./station.js";

const at = (id) => document.getElementById(id);
const trouble = (words, mild) => { const element = at("trouble"); element.hidden = !words; element.classList.toggle("mild", Boolean(mild)); if (words && element.textContent !== words) element.textContent = words; };
const link = new Link({
  board: (board) => rows.begin(board), now: (event) => rows.hear(event), row: (row) => rows.update(row), gone: (event) => rows.remove(event.id), trouble,
  sign: () => { if (!at("sign").open) at("sign").showModal(); },
});
const rows = new Rows(link), station = new Station(link);
new Heard();

function route() {
  const match = location.hash.match(/^#\/s\/(.+)$/), open = Boolean(match);
  at("list").hidden = at("try").hidden = open;
  at("station").hidden = !open;
  if (open) { let id = match[1]; try { id = decodeURIComponent(id); } catch { /* as it is */ } station.open(id); at("main").focus({ preventScroll: true }); scrollTo(0, 0); }
  else { station.close(); rows.redraw(); }
}

function legend() {
  const labels = [...Object.keys(GENRES), "speech", "silence", "unknown", "missing"];
  at("legend").replaceChildren(...labels.map((label) => make("li", {}, make("canvas", { "aria-hidden": "true" }), label === "missing" ? "not heard" : label)));
  const { ink, track } = inks();
  at("legend").querySelectorAll("canvas").forEach((canvas, i) => { const { context, width, height } = sized(canvas); fill(context, labels[i], 0, 0, width, height, ink, track); });
}

at("sign-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: at("token").value }) });
    at("sign").close(); at("token").value = ""; at("sign-error").textContent = "";
    link.begin();
  } catch (error) { at("sign-error").textContent = error.message; }
});
addEventListener("hashchange", route);
addEventListener("themed", legend);
legend();
route();
link.watch();
link.begin();
