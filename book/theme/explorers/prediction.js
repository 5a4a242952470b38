/** The question before the next picture: every answer, and the skip, moves the controls. */
import { make } from "./dom.js";
import { fill } from "./words.js";

/** Make the question; `move(values)` sets the controls once it is answered. */
export function makePrediction({ question, choices, right, because, moves }, words, move) {
  const verdict = make("p", { className: "explorer-verdict" });
  verdict.setAttribute("aria-live", "polite");
  const buttons = [...choices, words.skip].map((choice) => {
    const button = make("button", { type: "button" }, choice);
    button.addEventListener("click", () => answer(button, choice));
    return button;
  });
  const answer = (chosen, said) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button === chosen);
    const template = { [right]: words.right, [words.skip]: words.skipped }[said] ?? words.wrong;
    verdict.textContent = fill(template, { said, choice: right, because });
    move(moves);
  };
  return make(
    "fieldset",
    { className: "explorer-prediction" },
    make("legend", {}, question),
    make("div", {}, ...buttons),
    verdict,
  );
}
