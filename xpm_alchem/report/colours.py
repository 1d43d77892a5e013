"""Colours that colour-blind people and black-and-white printers tell apart. Pure.

Classes: Okabe & Ito (https://jfly.uni-koeln.de/color/). Amounts: cividis (Nunez, Anderton & Renslow 2018,
doi:10.1371/journal.pone.0199239) from its sand to its dark blue; its yellow cannot be seen on white paper.
"""

from __future__ import annotations

BLACK, ORANGE, SKY, BLUE, VERMILION = "#000000", "#e69f00", "#56b4e9", "#0072b2", "#d55e00"
GREY = "#8c8c8c"
_AMOUNTS = ("#d2c060", "#a59c74", "#7c7b78", "#575d6d", "#2a406c", "#00204c")  # cividis at 0.85, 0.68, ... 0
BINS = len(_AMOUNTS)


def bin_of(value: float, most: float) -> int:
    """Return the number of the colour for a value from 0 to `most`."""
    return 0 if most <= 0 else min(BINS - 1, max(0, int(value / most * BINS)))


def amount(number: int) -> str:
    """Return a colour by its number: the higher the darker."""
    return _AMOUNTS[number]


def steps() -> list[list[object]]:
    """Return the colours as a scale of plotly, in steps."""
    scale: list[list[object]] = []
    for number, colour in enumerate(_AMOUNTS):
        scale += [[number / BINS, colour], [(number + 1) / BINS, colour]]
    return scale


def smooth() -> list[list[object]]:
    """Return the colours as a scale of plotly, smooth."""
    return [[number / (BINS - 1), colour] for number, colour in enumerate(_AMOUNTS)]
