/** Making elements of a page. */

let count = 0;

/** Make an element with properties and children; strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Give an identifier that no other element has. */
export function freshId() {
  return `explorer-${(count += 1)}`;
}
