"""Curves of what a run measured, sorted into charts and drawn as SVG."""

import math
from html import escape
from typing import NamedTuple

import numpy as np

DRAWN_POINTS = 200  # a longer curve is drawn as means of stretches, with a band
MARKED_POINTS = 40  # a shorter curve has a dot for each value, which names it under the pointer
SHARES = ("precision", "recall", "density", "coverage")
ABOUT = {
    "fid64": ("Fréchet distance on 64 pixels", "Fréchet distance on 8 × 8 pixels, which is not Inception FID; lower is better"),
    "kid": ("kernel distance", "kernel distance (squared MMD) on the same features; lower is better, about 0 for real data"),
    "precision": ("share", "share of samples that lie among real examples"),
    "recall": ("share", "share of real examples that lie among samples"),
    "density": ("share", "how deep samples lie among real examples, about 1 for real data"),
    "coverage": ("share", "share of real examples with a sample close by"),
    "mode_kl": ("KL", "how far shares of modes and of samples outside them are from real data's; lower is better"),
    "reverse_kl_all": ("reverse KL", "how far modes are from equal shares, each sample counted to its nearest; lower is better"),
    "reverse_kl": ("reverse KL", "the same over samples of high quality alone; lower is better"),
    "modes": ("modes", "modes with at least one sample of high quality"),
    "high_quality": ("share", "share of samples within three standard deviations of a mode; 0.989 for real data"),
    "variety": ("share", "share of the data's variety that the worst repetition has"),
    "duplicates": ("share", "share of samples that have a copy; about 0 for real data"),
    "agreement": ("share", "share of samples that a classifier of the data names as asked"),
    "class_recall": ("share", "share of each class's real examples that lie among its samples, mean over classes"),
    "class_diversity": ("share", "mean distance within a class of samples, as a share of real data's"),
    "matching_auc": ("AUC", "how often the critic prefers the right label to a wrong one; 0.5 by guessing"),
    "l1": ("L1", "mean distance of a pixel from its target, in [0, 2]; lower is better"),
    "cycle_l1": ("L1", "mean distance of a pixel from itself after going there and back, mean of both ways; lower is better"),
    "gradient_energy": ("share", "squared differences of neighbours, as a share of the targets'; 1 is as sharp as they are"),
    "labels_kept": ("share", "share of translations that a classifier of their new domain names as what they were"),
    "error": ("share", "share of held-out images named wrongly; lower is better"),
    "fgsm_error": ("share", "the same under one step of the gradient's sign"),
    "pgd_error": ("share", "the same under projected gradient steps"),
    "fooled": ("share", "share of images named rightly that are not any more once they are changed"),
    "flicker": ("L1", "mean change of a pixel along the true motion; 0 in the data"),
    "fork": ("total variation", "how far futures are from half left and half right, none in between; 0 in the data"),
    "p_left": ("share", "share of futures that turn left; 0.5 in the data"),
    "between": ("share", "share of futures that turn neither way; 0 in the data"),
}


class Series(NamedTuple):
    """One curve: its name, and finite values at increasing steps."""

    name: str
    steps: list[int]
    values: list[float]


class Chart(NamedTuple):
    """Curves that share a vertical axis labelled `unit`; a `wide` quantity may run over decades, which asks for a log scale."""

    title: str
    unit: str
    wide: bool
    series: list[Series]


def charts(rows) -> list[Chart]:
    """Sorts everything measured over the steps into charts: losses together, critic scores together, shares together.

    Args:
        rows: as `rows_by_step` gives them; values that are not finite numbers are left out.

    Returns:
        Losses first, then critic scores, measurements and whatever else a player reports, speed last.
    """
    curves = {}
    for row in rows:
        for key, value in row.items():
            if finite(value):
                steps, values = curves.setdefault(key, ([], []))
                steps.append(row["step"])
                values.append(value)
    places = {}
    for key, curve in curves.items():
        if key not in ("step", "time"):
            places.setdefault(_place(key), []).append(Series(key.removeprefix("eval/"), *curve))
    return [Chart(*place[1:], places[place]) for place in sorted(places, key=lambda place: place[0])]


def _place(key):
    """`(position, title, unit, wide)` of the chart that a logged quantity belongs to."""
    quantity = key.rpartition("/")[2]
    if key.startswith("eval/"):
        if quantity in SHARES:
            return 3, "precision and recall", "share", False
        return 2, quantity, about(quantity)[0], True
    if quantity == "loss":
        return 0, "losses", "loss", False
    if quantity in ("real", "fake"):
        return 1, "critic scores", "mean score", False
    return (5, "speed", "images per second", False) if key == "images_per_second" else (4, key, quantity, False)


def legend(chart: Chart) -> str:
    """Names a chart's curves beside their colours and dashes; one curve needs none."""
    if len(chart.series) == 1:
        return ""
    swatch = '<svg width=26 height=8 aria-hidden=true><line x1=0 y1=4 x2=26 y2=4 class="line c{}"/></svg>'
    return "".join(f" <span>{swatch.format(i % 6)} {escape(series.name)}</span>" for i, series in enumerate(chart.series))


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 240, 62, 22, 8, 40


def svg(chart: Chart) -> str:
    """Draws a chart as inline SVG whose colours, dashes and type come from the page's style.

    The vertical axis of a `wide` quantity is logarithmic where all values are positive and span more than a factor of ten.
    """
    curves = [_thinned(series) for series in chart.series]
    values = np.concatenate([np.concatenate(curve[1:]) for curve in curves])
    low, high, last = values.min(), values.max(), max(series.steps[-1] for series in chart.series)
    log = chart.wide and low > 0 and high / low > 10
    bend = np.log if log else np.asarray
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    x_ticks = [tick for tick in _ticks(0, last) if tick <= last]
    y_ticks = _log_ticks(low, high) if log else _ticks(low, high)
    across = _scale(0, last, LEFT, right)
    upwards = _scale(*bend([y_ticks[0], y_ticks[-1]]), bottom, TOP)

    def points(steps, heights):
        return list(zip(across(steps).round(1).tolist(), upwards(bend(heights)).round(1).tolist(), strict=True))

    def path(*corners):
        return " ".join(f"{x},{y}" for x, y in corners)

    parts = []
    for (_, y), tick in zip(points(np.zeros(len(y_ticks)), y_ticks), y_ticks, strict=True):
        parts.append(
            f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" class="rule"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_tick(tick)}</text>'
        )
    for x, tick in zip(across(x_ticks), x_ticks, strict=True):
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_tick(tick)}</text>')
    for i, (series, (steps, means, below, above)) in enumerate(zip(chart.series, curves, strict=True)):
        curve = points(steps, means)
        if len(series.steps) > DRAWN_POINTS:
            band = path(*points(steps, above), *reversed(points(steps, below)))
            parts.append(f'<polygon points="{band}" class="band f{i % 6}"/>')
        parts.append(f'<polyline points="{path(*curve)}" class="line c{i % 6}"/>')
        if len(curve) <= MARKED_POINTS:
            parts += [
                f'<circle cx="{x}" cy="{y}" r="2.5" class="f{i % 6}">'
                f"<title>{escape(series.name)}, step {step:,}: {number(value)}</title></circle>"
                for (x, y), step, value in zip(curve, series.steps, series.values, strict=True)
            ]
    side = f"translate(12 {(TOP + bottom) / 2}) rotate(-90)"
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">step</text>'
        f'<text transform="{side}" text-anchor="middle">{escape(chart.unit)}</text>'
    )
    if log:
        parts.append(f'<text x="{right}" y="{TOP + 14}" text-anchor="end">log scale</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)} over steps">{"".join(parts)}</svg>'


def _thinned(series):
    """`(steps, means, 10th, 90th percentiles)` over at most `DRAWN_POINTS` stretches of equal length; short series unchanged."""
    steps, values = np.asarray(series.steps, float), np.asarray(series.values, float)
    if len(steps) <= DRAWN_POINTS:
        return steps, values, values, values
    stretches = np.array_split(values, DRAWN_POINTS)
    centres = [part.mean() for part in np.array_split(steps, DRAWN_POINTS)]
    below, above = np.transpose([np.percentile(part, (10, 90)) for part in stretches])
    return np.array(centres), np.array([part.mean() for part in stretches]), below, above


def _scale(low, high, start, end):
    """The linear map of [low, high] onto [start, end]; where those are one value, it goes to the middle."""
    if high == low:
        return lambda values: np.full(np.shape(values), (start + end) / 2)
    return lambda values: start + (np.asarray(values, float) - low) / (high - low) * (end - start)


def _ticks(low, high, count=5):
    """About `count` round numbers that enclose [low, high]."""
    if low == high:
        return [float(low)]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [i * step for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _log_ticks(low, high):
    """Round numbers that enclose [low, high]: powers of ten, and 2 and 5 times them where those are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    candidates = [10.0**power * factor for power in powers for factor in ((1, 2, 5) if len(powers) < 5 else (1,))]
    start = max((tick for tick in candidates if tick <= low), default=candidates[0])
    end = min((tick for tick in candidates if tick >= high), default=candidates[-1])
    return [tick for tick in candidates if start <= tick <= end]


def _tick(value):
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.6g}"


def number(value) -> str:
    """Writes a value in four digits or so; what is no number as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if 1e-3 <= abs(value) < 100 else f"{value:.4g}"


def finite(value) -> bool:
    """Tells whether a logged value is a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def about(name: str) -> tuple[str, str]:
    """Gives `(axis label, explanation)` of a measurement."""
    features = name.removeprefix("frechet")
    if features != name and features.isdigit():
        label = f"Fréchet distance on {features} features"
        return label, f"{label}; lower is better"
    if name.endswith("_sd"):
        return about(name.removesuffix("_sd"))[0], "standard deviation over seeds"
    return ABOUT.get(name, (name, ""))
