/** The picture of an explorer: drawn anew for every state and width, with cells to point at. */
import { make } from "./dom.js";
import { paint } from "./paint.js";
import { raster } from "./raster.js";

const SVG = "http://www.w3.org/2000/svg";
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Shows what a drawing makes of a state's arguments; `say` is told of the cell pointed at. */
export class Picture {
  constructor(drawing, words, say) {
    Object.assign(this, { drawing, words, say, cell: null, pinned: false, width: 0 });
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("aria-hidden", "true");
    this.line = make("p", { className: "explorer-cell" });
    this.stage = make("div", { className: "explorer-stage" });
    this.stage.append(this.svg);
    this.element = make("div", { className: "explorer-picture" }, this.stage, this.line);
    this.table = make("div", { className: "explorer-table", tabIndex: 0 });
    this.numbers = make("details", {}, make("summary", {}, words.numbers), this.table);
    this.numbers.addEventListener("toggle", () => this.tabulate());
    this.listen();
  }

  /** Draw a state; its sentence names the picture to those who do not see it. */
  show(drawn, sentence) {
    this.drawn = drawn;
    this.stage.setAttribute("aria-label", sentence);
    if (this.width) this.draw();
    else this.measure();
  }

  /** Say of a picture that stays from before why it is no answer; its cells are out of reach. */
  fade(sentence) {
    this.choose(null);
    this.stage.setAttribute("aria-label", sentence);
  }

  listen() {
    new ResizeObserver(() => this.measure()).observe(this.stage);
    // The colours of a raster are the scheme's.
    const scheme = { attributes: true, attributeFilter: ["data-theme"] };
    new MutationObserver(() => this.draw()).observe(document.documentElement, scheme);
    this.stage.addEventListener("pointermove", (event) => this.pinned || this.point(event));
    this.stage.addEventListener("pointerleave", () => this.pinned || this.choose(null));
    this.stage.addEventListener("click", (event) => this.pin(event));
    this.stage.addEventListener("keydown", (event) => this.step(event));
  }

  measure() {
    const width = Math.floor(this.stage.clientWidth);
    if (width === this.width) return;
    this.width = width;
    this.draw();
  }

  draw() {
    // To ask for the width here would have the browser lay out the page while a slider moves.
    const { width } = this;
    if (!this.drawn || !width) return;
    const context = { width, words: this.words, chosen: this.cell, pinned: this.pinned, raster };
    this.result = this.drawing(this.drawn, context);
    const { height, marks, cells } = this.result;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    paint(this.svg, marks);
    this.reach(cells);
    const text = this.cell && cells?.has(this.cell) ? cells.say(this.cell) : "";
    this.line.textContent = text || "\u00a0";
    if (this.numbers.open) this.tabulate();
  }

  /** Let the keyboard into a picture that has cells. */
  reach(cells) {
    this.line.hidden = !cells;
    if (cells) {
      this.stage.tabIndex = 0;
      this.stage.setAttribute("role", "application");
      this.stage.setAttribute("aria-roledescription", this.words.picture);
    } else {
      this.stage.removeAttribute("tabindex");
      this.stage.setAttribute("role", "img");
    }
  }

  choose(cell, pinned = false) {
    const same = String(cell) === String(this.cell) && pinned === this.pinned;
    if (same) return;
    Object.assign(this, { cell, pinned });
    this.draw();
    if (cell) this.say(this.line.textContent);
  }

  cellAt(event) {
    const box = this.svg.getBoundingClientRect();
    return this.result?.cells?.find(event.clientX - box.left, event.clientY - box.top) ?? null;
  }

  point(event) {
    this.choose(this.cellAt(event));
  }

  /** A click or tap pins a cell; another on the same cell, or beside all, lets go. */
  pin(event) {
    const cell = this.cellAt(event);
    const again = this.pinned && String(cell) === String(this.cell);
    this.choose(again ? null : cell, Boolean(cell) && !again);
  }

  step(event) {
    const { cells } = this.result ?? {};
    const move = STEPS[event.key];
    if (!cells || (!move && event.key !== "Escape") || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!move) return this.choose(null);
    const next = this.cell ? cells.move(this.cell, move) : cells.first;
    return this.choose(next, true);
  }

  /** Write the numbers as a table, once somebody asks for them. */
  tabulate() {
    if (!this.numbers.open || !this.result) return;
    const row = (kind) => (cells) => make("tr", {}, ...cells.map((each) => make(kind, {}, each)));
    const tables = this.result.tables().map(({ caption, head, rows }) =>
      make(
        "table",
        {},
        make("caption", {}, caption),
        make("thead", {}, row("th")(head)),
        make("tbody", {}, ...rows.map(row("td"))),
      ),
    );
    this.table.replaceChildren(...tables);
  }
}
