/** What a reader typed, before any model sees it. */
import { thousands } from "../draw/text.js";
import { Unreadable, wellFormed } from "../model/unreadable.js";
import { fill } from "../words.js";

/** Give the text of an explorer's only field back; throws Unreadable, with a sentence, for one too long or no text. */
export function checkText(values, { controls, words }) {
  const { name, longest } = controls.find(({ kind }) => kind === "text");
  const text = values[name];
  const count = [...text].length;
  if (count > longest) {
    throw new Unreadable(fill(words.too_long, { name, count: thousands(count), most: thousands(longest) }));
  }
  if (wellFormed(text) !== text) throw new Unreadable(fill(words.half, { character: "\ufffd" }));
  return text;
}
