"""One style for pictures that matplotlib draws: pages without JavaScript, print, and figures for a paper.

matplotlib is imported on first use. Fonts are embedded in PDF, and text is outlines in SVG, so that a picture is the
same on every machine. The same figure gives the same bytes.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from nplight.report.theme import NEUTRAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")

INK = "#1b1f24"
MILLIMETRE = 1 / 25.4
"""In inches."""

_RULE = "#d5d9de"
_DOTS_PER_INCH = 300
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
_SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": NEUTRAL,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": "medium",
    "axes.linewidth": 0.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.unicode_minus": True,
    "figure.constrained_layout.h_pad": 0.04,
    "figure.constrained_layout.w_pad": 0.05,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "grid.color": _RULE,
    "grid.linewidth": 0.4,
    "image.cmap": "cividis",
    "legend.fontsize": "medium",
    "legend.frameon": False,
    "lines.linewidth": 0.9,
    "lines.markersize": 2.6,
    "pdf.fonttype": 42,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "nplight",
    # A name with dollar signs is not a formula.
    "text.parse_math": False,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": "medium",
    "xtick.major.width": 0.5,
    "xtick.minor.bottom": False,
    "ytick.color": INK,
    "ytick.labelsize": "medium",
    "ytick.major.width": 0.5,
}

DASHES: dict[str, Any] = {
    "solid": "solid",
    "dash": (0, (4, 1.6)),
    "dot": (0, (1, 1.4)),
    "dashdot": (0, (4, 1.4, 1, 1.4)),
    "longdash": (0, (8, 2)),
    "longdashdot": (0, (8, 1.6, 1, 1.6)),
}
"""Plotly's names of dashes -> matplotlib's."""

SYMBOLS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "x": "X",
    "star": "*",
}
"""Plotly's names of symbols -> matplotlib's."""


@contextmanager
def paper_style(*, outlines: bool = True) -> Iterator[None]:
    """Draw and save inside this block: the settings of the caller are put back at its end.

    Args:
        outlines: whether text in SVG is outlines; else it is text in a font of the reader, in half the size.
    """
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        # The setting of a user's file must not shine through.
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        if not outlines:
            mpl.rcParams["svg.fonttype"] = "none"
        # A letter of a name that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure.

    Args:
        width: in millimetres.
        height: in millimetres.
    """
    from matplotlib.figure import Figure

    return Figure((width * MILLIMETRE, height * MILLIMETRE), layout="constrained")


def saved(figure: Figure, form: Format) -> bytes:
    """The bytes of a file; inside `paper_style`."""
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=_DOTS_PER_INCH, metadata=_METADATA[form])
    return file.getvalue()


def as_data_uri(figure: Figure) -> str:
    """A figure as the source of an `img` in a page; inside `paper_style`."""
    return "data:image/svg+xml;base64," + base64.b64encode(saved(figure, "svg")).decode()


def bare(axes: Axes) -> Axes:
    """Axes without frame, ticks and grid."""
    axes.set_axis_off()
    return axes
