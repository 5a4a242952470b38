/** Sizes and forms of labels. */

export const FONT = 14;
export const SMALL = 12; // nothing is smaller

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

/** Estimate the width of a label in pixels; Japanese characters are square. */
export function textWidth(label, size = FONT) {
  let width = 0;
  for (const character of label) width += WIDE.test(character) ? 1 : 0.62;
  return width * size;
}

/** Write a number with so many decimals and a proper minus sign. */
export function decimal(number, digits = 2) {
  const text = number.toFixed(digits).replace("-", "−");
  return /[1-9]/.test(text) ? text : text.replace("−", "");
}

/** Show spaces and line ends, which a label would swallow. */
export function visible(token) {
  return token.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

/** Write a probability in percent with one decimal, as `lesson_tf.explore.language_model.percent` does. */
export function percent(probability) {
  return probability < 0.0005 ? "< 0.1" : (100 * probability).toFixed(1);
}

/** Write a whole number with a comma before each three digits. */
export function thousands(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
