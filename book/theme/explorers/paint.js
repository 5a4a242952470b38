/** From a list of marks, [tag, attributes, text], to SVG elements; what is the same stays. */

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Make the children of an SVG element show these marks, changing as little as possible. */
export function paint(svg, marks) {
  const painted = (svg.painted ??= []);
  marks.forEach((mark, place) => {
    const old = painted[place];
    if (old?.mark[0] === mark[0]) {
      change(old, mark);
    } else {
      const element = document.createElementNS(NAMESPACE, mark[0]);
      const fresh = { element, mark: [mark[0], {}] };
      change(fresh, mark);
      if (old) old.element.replaceWith(element);
      else svg.append(element);
      painted[place] = fresh;
    }
  });
  for (const { element } of painted.splice(marks.length)) element.remove();
}

function change(old, mark) {
  const [, before, textBefore] = old.mark;
  const [, after, text] = mark;
  for (const name in after) {
    if (before[name] !== after[name]) old.element.setAttribute(name, after[name]);
  }
  for (const name in before) {
    if (!(name in after)) old.element.removeAttribute(name);
  }
  if (text !== textBefore) old.element.textContent = text ?? "";
  old.mark = mark;
}
