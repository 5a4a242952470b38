/** Large matrices as a picture of one pixel a cell, in the colours of the page's scheme. */

const made = new WeakMap();

/** Give an address of the picture of a signed matrix {shape, data}, whose values reach ±limit. */
export function raster(matrix, limit) {
  const scheme = document.documentElement.dataset.theme ?? "";
  const known = made.get(matrix);
  if (known?.scheme === scheme) return known.href;
  const href = drawPixels(matrix, limit);
  made.set(matrix, { scheme, href });
  return href;
}

function drawPixels({ shape: [rows, columns], data }, limit) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const [negative, zero, positive] = ["negative", "paper", "positive"].map(colour);
  data.forEach((value, place) => {
    const share = Math.min(Math.abs(value) / limit, 1);
    const end = value < 0 ? negative : positive;
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * place + channel] = zero[channel] + share * (end[channel] - zero[channel]);
    }
    image.data[4 * place + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function colour(role) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--tf-${role}`).trim();
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}
