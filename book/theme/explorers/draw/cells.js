/** Cells to point at: panels of rows and columns, each cell a rectangle. */

/**
 * Make the cells of panels {x, y, rows, columns, width, height} (of one cell); `say(panel, row, column)`
 * gives the sentence of a cell, and `wrap(cell)` may send a pointed cell elsewhere.
 */
export function makeCells(panels, say, wrap = (cell) => cell) {
  const has = ([panel, row, column]) =>
    panel < panels.length && row < panels[panel].rows && column < panels[panel].columns;
  return {
    first: [0, 0, 0],
    has,
    say: (cell) => say(...cell),
    find(x, y) {
      for (const [number, panel] of panels.entries()) {
        const column = Math.floor((x - panel.x) / panel.width);
        const row = Math.floor((y - panel.y) / panel.height);
        const inside = row >= 0 && row < panel.rows && column >= 0 && column < panel.columns;
        if (inside) return wrap([number, row, column]);
      }
      return null;
    },
    /** Step to the neighbour; at the side of a panel, to the panel beside it. */
    move([panel, row, column], [down, right]) {
      const { rows, columns } = panels[panel];
      const next = [panel, row + down, column + right];
      if (next[1] < 0 || next[1] >= rows) return [panel, row, column];
      if (next[2] >= 0 && next[2] < columns) return next;
      const beside = panel + right;
      if (beside < 0 || beside >= panels.length) return [panel, row, column];
      const other = panels[beside];
      return [beside, Math.min(next[1], other.rows - 1), right > 0 ? 0 : other.columns - 1];
    },
  };
}
