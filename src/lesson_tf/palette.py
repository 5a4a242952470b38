"""The one set of colours of the course, light and dark; page, figures and explorers take them here.

`LIGHT` and `DARK` have the same keys. Four say what something is (`query`, `key`, `value`,
`accent`, the last one for attention weights), two give the ends of the scale for signed values
(`negative`, `positive`), the others are one neutral scale from `paper` to `ink`. This module
imports nothing, so that the theme of the pages can read it without torch or matplotlib.

    >>> LIGHT["query"], DARK["query"]
    ('#0B5CAD', '#6FB1F5')
    >>> LIGHT.keys() == DARK.keys()
    True
"""

LIGHT = {
    # What something is. Text in these colours stands on `paper` or `surface`.
    "query": "#0B5CAD",
    "key": "#B3470B",
    "value": "#0B7A55",
    "accent": "#6D3FA0",
    # Signed values run from `negative` over `paper` (zero) to `positive`.
    "negative": "#9C3D06",
    "positive": "#0A4E96",
    # The neutral scale.
    "paper": "#FFFFFF",
    "surface": "#F5F5F7",
    "rule": "#D5D7DC",
    "hatch": "#868C97",
    "muted": "#59606B",
    "ink": "#1B1D22",
}

DARK = {
    "query": "#6FB1F5",
    "key": "#F2A15F",
    "value": "#5CC9A0",
    "accent": "#B99AE6",
    "negative": "#F0A468",
    "positive": "#78B6F6",
    "paper": "#16181D",
    "surface": "#1F2229",
    "rule": "#3B404B",
    "hatch": "#7B828F",
    "muted": "#A8AFBB",
    "ink": "#E7E9ED",
}
