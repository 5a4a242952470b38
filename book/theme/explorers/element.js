/** The element of an explorer: question, picture, sentence, controls; it holds the state and redraws. */
import { leadsTo, settingsOf, store } from "./address.js";
import { makeControl } from "./controls.js";
import { make } from "./dom.js";
import { drawings } from "./draw/index.js";
import { engines } from "./engines/index.js";
import { Picture } from "./picture.js";
import { makePrediction } from "./prediction.js";
import { unpack } from "./unpack.js";
import { fill } from "./words.js";

// Milliseconds of rest before a screen reader is told, and before the address changes.
const SAY_AFTER = 400;
const STORE_AFTER = 150;

/** `<lesson-explorer>`: until its script has been read, the picture that Python drew stands there. */
export class LessonExplorer extends HTMLElement {
  async connectedCallback() {
    if (this.controls) return;
    this.controls = [];
    this.start(await unpack(this.querySelector("script").textContent));
  }

  disconnectedCallback() {
    for (const control of this.controls) control.stop();
  }

  start(payload) {
    this.payload = payload;
    this.defaults = Object.fromEntries(payload.controls.map((each) => [each.name, each.default]));
    this.values = { ...this.defaults, ...this.fromAddress() };
    this.build();
    this.show();
    if (leadsTo(payload.name)) this.scrollIntoView({ block: "center" });
    addEventListener("hashchange", () => {
      const settings = this.fromAddress();
      if (Object.keys(settings).length) this.jump({ ...this.defaults, ...settings });
    });
  }

  build() {
    const { words, controls, prediction, name } = this.payload;
    this.picture = new Picture(drawings[this.payload.drawing], words, (cell) => this.say(cell));
    this.sentence = make("p", { className: "explorer-sentence" });
    this.offers = make("p", { className: "explorer-offers", hidden: true });
    this.live = make("div", { className: "explorer-live", "aria-live": "polite" });
    this.controls = controls.map((control) =>
      makeControl(control, words, (value) => this.set({ [control.name]: value })),
    );
    this.reset = make("button", { type: "button", className: "explorer-reset" }, words.reset);
    this.reset.addEventListener("click", () => this.press(this.defaults));
    const asked = prediction && makePrediction(prediction, words, (values) => this.jump(values));
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", fill(words.explorer, { name }));
    this.replaceChildren(
      ...(asked ? [asked] : []),
      this.picture.element,
      this.sentence,
      this.offers,
      make("div", { className: "explorer-controls" }, ...this.controls.map((each) => each.element)),
      make("div", { className: "explorer-foot" }, this.picture.numbers, this.reset),
      this.live,
    );
  }

  /** Move some controls at once; what plays stops. */
  jump(values) {
    for (const control of this.controls) control.stop();
    this.set(values);
  }

  /** Do as a button says that vanishes when it is pressed; the focus goes to the first control. */
  press(values) {
    this.jump(values);
    this.querySelector(".explorer-controls :is(input, button)").focus({ preventScroll: true });
  }

  /** Move some controls, as if the reader had. */
  set(values) {
    Object.assign(this.values, values);
    clearTimeout(this.storing);
    this.storing = setTimeout(() => store(this.payload.name, this.changed()), STORE_AFTER);
    this.show();
  }

  show() {
    this.payload.controls.forEach(({ name }, i) => this.controls[i].show(this.values[name]));
    this.reset.style.visibility = Object.keys(this.changed()).length ? "visible" : "hidden";
    const state = this.lookUp();
    this.asked = (this.asked ?? 0) + 1;
    this.wait(!state);
    if (state) this.apply(state);
    else this.compute(this.asked);
  }

  apply({ sentence, error, offers = [], arguments: drawn }) {
    this.toggleAttribute("data-invalid", Boolean(error));
    this.sentence.textContent = sentence;
    this.offer(offers);
    if (error) this.picture.fade(sentence);
    else this.picture.show(drawn, sentence);
    this.say(sentence);
  }

  /** While an engine works, the old picture fades, and no sentence passes for the answer. */
  wait(working) {
    this.working = working;
    this.toggleAttribute("data-working", working);
    if (!working) return;
    this.sentence.textContent = this.payload.words.working;
    this.say(this.payload.words.working);
  }

  /** Have the engine compute a text of the reader's own; what has been overtaken is dropped. */
  async compute(asked) {
    const { engine, words } = this.payload;
    const progress = (done) => {
      const share = { percent: Math.round(100 * done) };
      if (asked === this.asked) this.sentence.textContent = fill(words.loading, share);
    };
    try {
      const state = await engines[engine](this.values, this.payload, progress);
      if (asked === this.asked) this.finish(state);
    } catch (problem) {
      if (asked !== this.asked) return;
      const failed = location.protocol === "file:" ? words.from_disk : words.failed;
      const sentence = problem.name === "Unreadable" ? problem.message : failed;
      this.finish({ sentence, error: true, offers: problem.offers });
      if (problem.name !== "Unreadable") console.warn(problem);
    }
  }

  finish(state) {
    this.wait(false);
    this.apply(state);
  }

  /** Find the state that was computed at build, or nothing for a text of the reader's own. */
  lookUp() {
    let place = 0;
    for (const { name, stops } of this.payload.controls) {
      const stop = stops.indexOf(this.values[name]);
      if (stop < 0) return null;
      place = place * stops.length + stop;
    }
    return this.payload.states[place];
  }

  offer(offers) {
    this.offers.hidden = !offers.length;
    const { words } = this.payload;
    const buttons = offers.map((values) => {
      const settings = Object.entries(values).map(([name, value]) => fill(words.value, { name, value }));
      const button = make("button", { type: "button" }, settings.join(", "));
      button.addEventListener("click", () => this.press(values));
      return button;
    });
    this.offers.replaceChildren(words.offers, ...buttons);
  }

  /** Tell screen readers, once the reader's hand rests. */
  say(sentence) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.live.textContent = sentence), SAY_AFTER);
  }

  changed() {
    const entries = Object.entries(this.values);
    return Object.fromEntries(entries.filter(([name, value]) => value !== this.defaults[name]));
  }

  /** Read the address; what is no stop of a control, and no text, is left out. */
  fromAddress() {
    const found = {};
    const settings = settingsOf(this.payload.name);
    for (const { name, stops, kind } of this.payload.controls) {
      if (!(name in settings)) continue;
      const stop = stops.find((each) => String(each) === settings[name]);
      if (stop !== undefined) found[name] = stop;
      else if (kind === "text") found[name] = settings[name];
    }
    return found;
  }
}
