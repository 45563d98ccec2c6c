"""The chart of a run: an SVG on a dark card, which looks the same on a light and on a dark page.

Every panel has horizontal bars. A figure named ``moto, 8 connections: fills`` is the bar of the series *moto* in the group
*8 connections*; ``8 processes: fills`` belongs to a panel with a single series.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.figures import Figure
from bench.report import amount, number

WIDTH, MARGIN, GUTTER = 960, 28, 36
COLUMNS = 2
BAR, BAR_GAP, GROUP_GAP = 14, 4, 12
PANEL_HEAD, PANEL_GAP = 54, 26
LABEL_WIDTH, VALUE_WIDTH = 134, 112
"""Widths left of the bars for the group's name, and right of them for the value."""
TITLE_HEIGHT, FOOTER_HEIGHT = 84, 44

CARD, BORDER, TRACK = "#0d1117", "#30363d", "#161b22"
TEXT, DIM = "#e6edf3", "#9198a1"
COLOURS = {"ministack": "#2dba88", "moto": "#e3a33b", "the peer": "#6e7b8b"}
SINGLE = "#539bf5"
FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel and its figures: those of `part` whose name ends with `shows`.

    The figure whose name ends with `beside`, formatted by `note`, appears beside each value.
    """

    title: str
    subtitle: str
    part: str
    shows: str
    beside: str = ""
    note: str = "{}"


PANELS = (
    Panel("Orders over HTTP", "fills a second; beside the peer", "over HTTP", "fills", "fills beside the peer"),
    Panel("Batches over one connection", "fills a second; beside the peer", "batches", "fills", "fills beside the peer"),
    Panel(
        "One hot account, several processes",
        "fills a second; the slowest process, of an equal share",
        "hot account",
        "fills",
        "slowest, of an equal share",
        "slowest {}",
    ),
    Panel("A fill as the store grows", "milliseconds of CPU, engine and datastore together", "growth", "a fill"),
    Panel("A page of the history", "milliseconds of CPU, engine and datastore together", "growth", "a page of 50"),
    Panel("A request's CPU", "millions of instructions in the function, logging included", "handler", "instructions"),
    Panel("A cold start", "millions of instructions of the packaged function", "cold start", "instructions"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its figure, and the note beside its value."""

    series: str
    group: str
    figure: Figure
    note: str


def draw(figures: Sequence[Figure], footer: str) -> str:
    """Returns the chart, with the panels that have figures."""
    panels = [(panel, bars) for panel in PANELS if (bars := _bars(panel, figures))]
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GUTTER) / COLUMNS
    body: list[str] = []
    top = float(TITLE_HEIGHT)
    for first in range(0, len(panels), COLUMNS):
        row = panels[first : first + COLUMNS]
        for column, (panel, bars) in enumerate(row):
            body += _panel(panel, bars, MARGIN + column * (width + GUTTER), top, width)
        top += max(_height(bars) for _, bars in row) + PANEL_GAP
    height = top + FOOTER_HEIGHT - PANEL_GAP
    shown = [series for series in COLOURS if any(bar.series == series for _, bars in panels for bar in bars)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" font-family="{FONT}">',
            "<title>HFT Trading Engine: measurements</title>",
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="10" fill="{CARD}" stroke="{BORDER}"/>',
            _text(MARGIN, 40, "HFT Trading Engine, measured", 19, TEXT, weight=600),
            *_legend(shown),
            *body,
            _text(MARGIN, height - 20, footer, 11, DIM),
            "</svg>\n",
        ]
    )


def _bars(panel: Panel, figures: Sequence[Figure]) -> list[Bar]:
    own = {figure.name: figure for figure in figures if figure.part == panel.part}
    bars = []
    for name, figure in own.items():
        what, _, shown = name.partition(": ")
        if shown == panel.shows:
            series, comma, group = what.partition(", ")
            beside = own.get(f"{what}: {panel.beside}")
            note = panel.note.format(amount(beside)) if beside else ""
            bars.append(Bar(series if comma else "", group if comma else what, figure, note))
    # A group's bars stay together, in the sequence of the groups' first bars.
    order = list(dict.fromkeys(bar.group for bar in bars))
    return sorted(bars, key=lambda bar: order.index(bar.group))


def _height(bars: Sequence[Bar]) -> int:
    groups = len({bar.group for bar in bars})
    return PANEL_HEAD + len(bars) * (BAR + BAR_GAP) + groups * GROUP_GAP


def _panel(panel: Panel, bars: Sequence[Bar], left: float, top: float, width: float) -> Iterator[str]:
    yield _text(left, top + 16, panel.title, 15, TEXT, weight=600)
    yield _text(left, top + 35, panel.subtitle, 11.5, DIM)
    room = width - LABEL_WIDTH - VALUE_WIDTH
    scale = room / max(bar.figure.high or bar.figure.value for bar in bars)
    start = left + LABEL_WIDTH
    y = top + PANEL_HEAD
    group = None
    for bar in bars:
        if bar.group != group:
            y += GROUP_GAP if group is not None else 0
            group = bar.group
            members = sum(other.group == group for other in bars)
            yield _text(start - 10, y + (members * (BAR + BAR_GAP) - BAR_GAP) / 2 + 4, group, 11.5, DIM, anchor="end")
        yield from _bar(bar, start, y, room, scale)
        y += BAR + BAR_GAP


def _bar(bar: Bar, start: float, y: float, room: float, scale: float) -> Iterator[str]:
    figure = bar.figure
    length = max(1.5, figure.value * scale)
    yield f'<rect x="{start:.1f}" y="{y:.1f}" width="{room:.1f}" height="{BAR}" rx="3" fill="{TRACK}"/>'
    yield (
        f'<rect x="{start:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="3" fill="{COLOURS.get(bar.series, SINGLE)}">'
        f"<title>{escape(f'{figure.name}: {amount(figure)}')}</title></rect>"
    )
    if figure.low is not None and figure.high is not None and figure.high > figure.low:
        low, high, middle = start + figure.low * scale, start + figure.high * scale, y + BAR / 2
        yield f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}" stroke="{TEXT}" stroke-opacity="0.55" stroke-width="1.5"/>'
    beside = f'<tspan dx="7" fill="{DIM}" font-weight="400">{escape(bar.note)}</tspan>' if bar.note else ""
    yield _text(start + room + 8, y + BAR - 3, number(figure.value), 11.5, TEXT, weight=600, more=beside)


def _legend(series: Sequence[str]) -> Iterator[str]:
    x = MARGIN
    for name in series:
        yield f'<rect x="{x}" y="53" width="10" height="10" rx="2" fill="{COLOURS[name]}"/>'
        yield _text(x + 15, 62, name, 11.5, DIM)
        x += 36 + 6 * len(name)


def _text(
    x: float, y: float, text: str, size: float, fill: str, *, weight: int = 400, anchor: str = "start", more: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}">'
        f"{escape(text)}{more}</text>"
    )
