/** The controls beneath a picture: slider, choice, text. Each has `element`, `show(value)` and `stop()`. */
import { freshId, make } from "./dom.js";
import { fill } from "./words.js";

const PLAY_STEP = 700; // milliseconds

/** Make the control that a payload describes; `change(value)` is called when the reader moves it. */
export function makeControl(control, words, change) {
  const kinds = { slider, choice, text };
  return kinds[control.kind](control, words, change);
}

function slider(control, words, change) {
  const { stops } = control;
  const said = make("label", { htmlFor: freshId() });
  const input = make("input", { type: "range", id: said.htmlFor, min: 0, max: stops.length - 1, step: 1 });
  const element = make("div", { className: "explorer-slider" }, said, input);
  if (stops.length <= 10) element.append(ticks(stops));
  const show = (value) => {
    const place = stops.indexOf(value);
    if (place >= 0) input.value = place;
    said.textContent = fill(words.value, { name: control.name, value });
    input.setAttribute("aria-valuetext", said.textContent);
  };
  const move = (place) => {
    show(stops[place]);
    change(stops[place]);
  };
  input.addEventListener("input", () => {
    playing?.stop();
    move(Number(input.value));
  });
  // JupyterLab and others take the arrow keys for themselves.
  input.addEventListener("keydown", (event) => event.stopPropagation());
  const playing = control.play ? player(control, words, input, move) : null;
  if (playing) element.append(playing.button);
  return { element, show, stop: () => playing?.stop() };
}

function ticks(stops) {
  const marks = stops.map((stop, place) => {
    const tick = make("span", {}, String(stop));
    tick.style.left = `${(100 * place) / Math.max(stops.length - 1, 1)}%`;
    return tick;
  });
  return make("div", { className: "explorer-ticks", "aria-hidden": "true" }, ...marks);
}

function player(control, words, input, move) {
  const name = control.name;
  const button = make("button", { type: "button", className: "explorer-play" });
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = fill(words.play, { name });
  };
  const step = () => {
    const place = Number(input.value) + 1;
    if (place > Number(input.max)) return stop();
    return move(place);
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    button.textContent = fill(words.pause, { name });
    if (input.value === input.max) move(0);
    timer = setInterval(() => (button.isConnected ? step() : stop()), PLAY_STEP);
    return timer;
  });
  stop();
  return { button, stop };
}

function choice(control, words, change) {
  const group = freshId();
  const radios = control.stops.map((value) => {
    const radio = make("input", { type: "radio", name: group, id: freshId() });
    radio.addEventListener("change", () => change(value));
    radio.addEventListener("keydown", (event) => event.stopPropagation());
    return { value, radio, label: make("label", { htmlFor: radio.id }, String(value)) };
  });
  const parts = radios.map((each) => make("span", {}, each.radio, each.label));
  const element = make(
    "fieldset",
    { className: "explorer-choice" },
    make("legend", {}, control.name),
    ...parts,
  );
  const show = (value) => {
    for (const each of radios) each.radio.checked = each.value === value;
  };
  return { element, show, stop: () => {} };
}

function text(control, words, change) {
  const said = make("label", { htmlFor: freshId() }, control.name);
  const input = make("input", {
    type: "text",
    id: said.htmlFor,
    spellcheck: false,
    autocomplete: "off",
    // A browser's limit would cut what is pasted without a word: room for one more says it.
    maxLength: 20_000,
  });
  let composing = false;
  const send = () => composing || change(input.value);
  input.addEventListener("compositionstart", () => (composing = true));
  input.addEventListener("compositionend", () => {
    composing = false;
    send();
  });
  input.addEventListener("input", send);
  input.addEventListener("keydown", (event) => event.stopPropagation());
  const presets = control.stops.map((stop) => {
    const button = make("button", { type: "button", className: "explorer-preset" }, stop);
    button.addEventListener("click", () => {
      input.value = stop;
      change(stop);
    });
    return button;
  });
  const element = make(
    "div",
    { className: "explorer-text" },
    said,
    input,
    make("div", { className: "explorer-presets" }, ...presets),
  );
  const show = (value) => {
    if (input.value !== value) input.value = value;
    control.stops.forEach((stop, i) => presets[i].setAttribute("aria-pressed", stop === value));
  };
  return { element, show, stop: () => {} };
}
