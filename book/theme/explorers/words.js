/** The words a reader sees come from Python as templates; here they are filled. */

/** Put values into a template: each {name} becomes the value of that name; a name without a value stays. */
export function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}
