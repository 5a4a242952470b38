/** Attention heads: the chosen one large, all side by side small; or equal panels where they have titles. */
import { fill } from "../words.js";
import { makeCells } from "./cells.js";
import { chosenMarks, labelMarks, labelRoom, matrixMarks, smallMatrixMarks } from "./matrix.js";
import { decimal, FONT, textWidth } from "./text.js";

const LARGEST = 44; // pixels of a cell
const GAP = 24;
const TITLE = 26;

/** Draw weights of shape (heads, T_q, T_k); a cell is [head, query, key]. */
export function head_heatmaps(drawn, { width, words, chosen }) {
  const panels = readPanels(drawn, words);
  const cell = chosen && chosen[0] < panels.length ? chosen : null;
  const large = cell?.[0] ?? sharpest(panels);
  const layout = drawn.titles ? equalPanels(panels, width) : enlarged(panels, width, large);
  const marks = layout.places.flatMap((place) => panelMarks(panels[place.panel], place, cell, width));
  const say = (panel, row, column) => panels[panel].say(row, column);
  return {
    height: layout.height,
    marks,
    cells: reachable(layout, panels.length, say),
    tables: () => panels.map((panel) => panelTable(panel, words)),
  };
}

/** Every head is a panel of cells; the large picture of one of them can be pointed at besides. */
function reachable({ targets, wrap }, heads, say) {
  const { find } = makeCells(targets, say, wrap);
  return { ...makeCells(targets.slice(0, heads), say), find };
}

function readPanels({ weights, queries, keys, mask, titles }, words) {
  const [heads, rows, columns] = weights.shape;
  const sides = { queries, keys: keys ?? queries };
  const size = rows * columns;
  // A mask may be one for all heads.
  const own = mask && mask.data.length === weights.data.length;
  return Array.from({ length: heads }, (_, head) => {
    const at = (row, column) => head * size + row * columns + column;
    const hidden = (row, column) => Boolean(mask) && !mask.data[own ? at(row, column) : row * columns + column];
    const weight = (row, column) => weights.data[at(row, column)];
    const title = titles?.[head] ?? fill(words.head, { number: head + 1 });
    const say = (row, column) => {
      const names = { panel: title, query: sides.queries[row], key: sides.keys[column] };
      if (hidden(row, column)) return fill(words.hidden, names);
      return fill(words.cell, { ...names, weight: decimal(weight(row, column)) });
    };
    return { rows, columns, ...sides, hidden, weight, title, say, number: head };
  });
}

/** Find the head with the largest weight; where tokens may read themselves, on another token. */
function sharpest(panels) {
  const largest = panels.map(({ rows, columns, weight, queries, keys }) => {
    const itself = String(queries) === String(keys) && rows > 1;
    let most = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (!itself || row !== column) most = Math.max(most, weight(row, column));
      }
    }
    return most;
  });
  return largest.indexOf(Math.max(...largest));
}

/** Lay out panels of one size beside or below one another. */
function equalPanels(panels, width) {
  const [{ rows, columns, queries, keys }] = panels;
  const room = labelRoom(queries, keys, 30);
  const beside = panels.length * (room.left + 24 * columns + GAP) <= width ? panels.length : 1;
  const cell = Math.min(LARGEST, (width / beside - room.left - (beside > 1 ? GAP : 0)) / columns);
  const top = TITLE + labelRoom(queries, keys, cell).top;
  const step = { x: room.left + cell * columns + GAP, y: top + cell * rows + 16 };
  const places = panels.map((_, panel) => ({
    panel,
    x: room.left + (panel % beside) * step.x,
    y: top + Math.floor(panel / beside) * step.y,
    cell,
    labels: true,
  }));
  const height = step.y * Math.ceil(panels.length / beside);
  return { places, height, targets: places.map((place) => target(place, rows, columns)) };
}

/** Lay out one large panel, and all of them small: at its side, or below it on a phone. */
function enlarged(panels, width, large) {
  const [{ rows, columns, queries, keys }] = panels;
  const room = labelRoom(queries, keys, 30);
  const beside = width >= 560;
  const cell = Math.min(LARGEST, ((beside ? 0.58 : 1) * width - room.left) / columns);
  const x = room.left;
  const y = TITLE + labelRoom(queries, keys, cell).top;
  const end = y + cell * rows + 2;
  // The small ones share a place of one size, so that nothing jumps when their number changes.
  const few = panels.length <= 4;
  const free = beside
    ? { x: x + cell * columns + 36, y: 0, across: 2, high: end / (few ? 2 : 4) }
    : { x: 0, y: end + 14, across: few ? 2 : 4, high: 112 };
  const each = (width - free.x - 12 * (free.across - 1)) / free.across;
  const small = Math.min(each / columns, (free.high - TITLE - 2) / rows);
  const places = panels.map((_, panel) => ({
    panel,
    x: free.x + (panel % free.across) * (each + 12),
    y: free.y + TITLE + Math.floor(panel / free.across) * free.high,
    cell: small,
    lit: panel === large,
  }));
  const height = beside ? end : free.y + 2 * free.high;
  places.push({ panel: large, x, y, cell, labels: true });
  const targets = places.map((place) => target(place, rows, columns));
  // The last target is the large panel: to point at it means the head that it shows.
  const wrap = ([panel, ...cell]) => [panel === panels.length ? large : panel, ...cell];
  return { places, height, targets, wrap };
}

const target = ({ x, y, cell }, rows, columns) => ({ x, y, rows, columns, width: cell, height: cell });

function panelMarks(panel, place, chosen, width) {
  const { rows, columns } = panel;
  const mine = chosen && chosen[0] === panel.number && chosen[1] < rows && chosen[2] < columns;
  const [, row, column] = mine ? chosen : [0, -1, -1];
  const shape = { ...panel, ...place };
  const above = place.labels ? labelRoom(panel.queries, panel.keys, place.cell).top + 12 : 12;
  const start = Math.max(0, Math.min(place.x, width - textWidth(panel.title)));
  const title = { class: `title${place.lit ? " lit" : ""}`, x: start, y: place.y - above, "font-size": FONT };
  return [
    ["text", title, panel.title],
    ...(place.labels ? matrixMarks(shape) : smallMatrixMarks(shape)),
    ...(place.labels ? labelMarks({ ...shape, row: mine ? row : -1, column }) : []),
    ...(mine ? chosenMarks({ ...shape, row, column }) : []),
  ];
}

function panelTable({ title, queries, keys, rows, columns, hidden, weight }, words) {
  const number = (row, column) => (hidden(row, column) ? "–" : decimal(weight(row, column), 3));
  return {
    caption: title,
    head: [`${words.query} ↓`, ...keys],
    rows: Array.from({ length: rows }, (_, row) => [
      queries[row],
      ...Array.from({ length: columns }, (_, column) => number(row, column)),
    ]),
  };
}
