"""Grouped bars as SVG text, without a library. Knows nothing of what is measured."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_COLOURS = ("#8da0cb", "#66c2a5", "#e78ac3", "#d95f02", "#999999", "#b3b3b3")
_WIDTH, _HEIGHT, _TOP, _LEFT, _BOTTOM = 760, 300, 50, 50, 40
_BAR, _TICKS = 24, 4


def bars(title: str, groups: Sequence[str], series: Mapping[str, Sequence[float | None]], missing: float) -> str:
    """One panel; ``None`` is drawn open, as high as ``missing``."""
    highest = max([missing, *(value for values in series.values() for value in values if value is not None)]) * 1.05
    plot = _HEIGHT - _TOP - _BOTTOM
    parts = [_text(_LEFT, 18, title, "font-weight='bold'")]
    for tick in range(_TICKS + 1):
        y = _TOP + plot * (1 - tick / _TICKS)
        parts.append(f"<line x1='{_LEFT}' x2='{_WIDTH}' y1='{y:.1f}' y2='{y:.1f}' stroke='#ddd'/>")
        parts.append(_text(_LEFT - 6, y + 4, f"{highest * tick / _TICKS:.3g}", "text-anchor='end'"))
    step = (_WIDTH - _LEFT) / len(groups)
    for g, group in enumerate(groups):
        first = _LEFT + step * (g + 0.5) - _BAR * len(series) / 2
        parts.append(_text(_LEFT + step * (g + 0.5), _HEIGHT - 16, group, "text-anchor='middle'"))
        for s, values in enumerate(series.values()):
            parts.append(_bar(first + _BAR * s, values[g], missing, highest, _COLOURS[s]))
    for s, name in enumerate(series):
        x = _LEFT + 130 * s
        parts.append(f"<rect x='{x}' y='26' width='12' height='12' fill='{_COLOURS[s]}'/>")
        parts.append(_text(x + 16, 36, name))
    return "\n".join(parts)


def _bar(x: float, value: float | None, missing: float, highest: float, colour: str) -> str:
    plot = _HEIGHT - _TOP - _BOTTOM
    height = plot * (missing if value is None else value) / highest
    look = f"fill='none' stroke='{colour}' stroke-dasharray='4'" if value is None else f"fill='{colour}'"
    y = _TOP + plot - height
    label = "" if value is None else _text(x + _BAR / 2, y - 3, f"{value:.3g}", "text-anchor='middle' font-size='9'")
    return f"<rect x='{x + 1:.1f}' y='{y:.1f}' width='{_BAR - 2}' height='{height:.1f}' {look}/>{label}"


def _text(x: float, y: float, message: str, look: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {look}>{escape(message)}</text>"


def page(panels: Sequence[str]) -> str:
    """The panels, one below the other, as a whole SVG file."""
    height = _HEIGHT * len(panels)
    body = "\n".join(f"<g transform='translate(0 {_HEIGHT * n})'>\n{panel}\n</g>" for n, panel in enumerate(panels))
    style = "font-family='sans-serif' font-size='12'"
    white = "<rect width='100%' height='100%' fill='white'/>"
    size = f"width='{_WIDTH + 20}' height='{height}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size} {style}>{white}\n{body}\n</svg>\n"
