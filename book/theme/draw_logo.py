"""Draw the book's mark: who attends to whom among four tokens, under a causal mask.

`python -m book.theme.draw_logo` writes the three files in `book/theme/static` again. The weights are
the package's own scaled dot-product attention of random, untrained vectors.
"""

from pathlib import Path

import torch

from lesson_tf.attention import causal_mask, scaled_dot_product_attention
from lesson_tf.palette import DARK, LIGHT

STATIC = Path(__file__).resolve().parent / "static"
TOKENS = 4
CELL, GAP = 14, 2  # 4 cells and 3 gaps, with a margin of 1, fill a square of 64


def _weights() -> list[list[float]]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, TOKENS, 4, generator=generator, dtype=torch.float64)
    return scaled_dot_product_attention(query, key, value, mask=causal_mask(TOKENS))[1].tolist()


def _cell(row: int, column: int, weight: float, colours: dict[str, str]) -> str:
    """Draw an allowed pair as a square as strong as its weight, a masked one as a dot."""
    x, y = (1 + index * (CELL + GAP) for index in (column, row))
    if column > row:
        dot = f'cx="{x + CELL // 2}" cy="{y + CELL // 2}" r="2"'
        return f'  <circle {dot} fill="{colours["hatch"]}"/>'
    # The weakest square still has to be seen at 16 pixels: strengths run from 0.2 to 1.
    strength = round(0.2 + 0.8 * weight, 1)
    square = f'x="{x}" y="{y}" width="{CELL}" height="{CELL}" rx="3"'
    return f'  <rect {square} fill="{colours["accent"]}" fill-opacity="{strength}"/>'


def logo(colours: dict[str, str]) -> str:
    """Give the mark as SVG, in the colours of one scheme."""
    cells = [
        _cell(row, column, weight, colours)
        for row, line in enumerate(_weights())
        for column, weight in enumerate(line)
    ]
    opening = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
    return "\n".join([opening, *cells, "</svg>\n"])


def main() -> None:
    """Write the logo for both colour schemes, and the favicon."""
    for name, colours in {"logo-light": LIGHT, "logo-dark": DARK, "favicon": LIGHT}.items():
        (STATIC / f"{name}.svg").write_text(logo(colours), encoding="utf-8")


if __name__ == "__main__":
    main()
