"""The page of a run: one self-contained `report.html`, rebuilt at any time from what the run directory holds."""

import base64
import io
import json
import os
from html import escape
from pathlib import Path

from PIL import Image

from jaxgan import journal
from jaxgan.charts import DRAWN_POINTS, about, charts, finite, legend, number, svg
from jaxgan.pictures import evenly
from jaxgan.types import UserError

THUMBNAILS = 12
EMBEDDED_BYTES = 3_000_000  # a larger grid is shrunk, a larger animation is left beside the page


def write_report(workdir) -> Path:
    """Builds `workdir/report.html`. Whatever the run has not made yet is left out.

    Args:
        workdir: a run directory with any of: `config.json` (`{"variant", "config", "versions", "device"}`), `metrics.jsonl` (an
            object with "step" a line; measurements are named "eval/...", and the first decides what is best),
            `samples/<step>.png`, `samples.gif`, `film.gif`.

    Returns:
        The page's path. It appears whole or not at all, needs no network and no other file.

    Raises:
        UserError: `workdir` is no directory, or its `config.json` is not a JSON object.
    """
    workdir = Path(workdir)
    if not workdir.is_dir():
        raise UserError(f"no run directory at {workdir}")
    about = _read_config(workdir / "config.json")
    rows = rows_by_step(journal.read(workdir / "metrics.jsonl"))
    grids = sorted((path for path in (workdir / "samples").glob("*.png") if path.stem.isdecimal()), key=_step)
    config = about.get("config", {})
    name = about.get("variant", workdir.resolve().name)
    title = f"{name} on {config['dataset']}" if "dataset" in config else str(name)
    measured = _measured(rows)
    summary = _summary(config.get("steps"), rows, *measured)
    body = [
        f"<header><h1>{escape(title)}</h1><p>{escape(summary)}</p></header>",
        _samples(grids, {workdir / "samples.gif": "The same latents while training", workdir / "film.gif": "The last, moving"}),
        _curves(rows),
        _scores(*measured),
        "<div class=pair>",
        _facts("Configuration", config),
        _facts("Made with", {key: value for key, value in about.items() if key not in ("variant", "config")}),
        "</div>",
    ]
    page = PAGE.format(title=escape(title), style=STYLE, body="\n".join(part for part in body if part))
    path = workdir / "report.html"
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, path)
    return path


def write_comparison(workdirs, path) -> Path:
    """Builds one page of several runs: their scores, their curves over each other and their last samples side by side.

    Args:
        workdirs: run directories, as `write_report` reads them; `evaluation.json` of `experiments/evaluate.py`, too.
        path: where to write the page, which needs no network and no other file.

    Returns:
        The page's path.

    Raises:
        UserError: fewer than two runs, one of them no directory, or a file in it that cannot be understood.
    """
    workdirs = [Path(workdir) for workdir in workdirs]
    if len(workdirs) < 2:
        raise UserError("a comparison takes two runs or more")
    missing = [str(workdir) for workdir in workdirs if not workdir.is_dir()]
    if missing:
        raise UserError(f"no run directory at {', '.join(missing)}")
    names = _told_apart(workdirs)
    rows = [rows_by_step(journal.read(workdir / "metrics.jsonl")) for workdir in workdirs]
    body = [
        f"<header><h1>{len(workdirs)} runs</h1></header>",
        _evaluations(names, [_read_config(workdir / "evaluation.json") for workdir in workdirs]),
        _last_samples(names, workdirs),
        _curves_together(names, rows),
        "<div class=pair>",
        *(_facts(name, _read_config(workdir / "config.json").get("config", {})) for name, workdir in zip(names, workdirs)),
        "</div>",
    ]
    page = PAGE.format(title="comparison", style=STYLE, body="\n".join(part for part in body if part))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _told_apart(workdirs):
    """Directories' own names, or their whole paths where two are the same."""
    names = [workdir.resolve().name for workdir in workdirs]
    return names if len(set(names)) == len(names) else [str(workdir.resolve()) for workdir in workdirs]


def _evaluations(names, records):
    """Scores by protocol, a column a run: only what was measured alike stands in one row."""
    found = {}
    protocols = {}
    for name, record in zip(names, records, strict=True):
        protocols |= record.get("protocols", {})
        for score in record.get("scores", []):
            place = (score["metric"], score["which"], score["protocol"])
            found.setdefault(place, {})[name] = score
    if not found:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = []
    for (metric, which, protocol), own in found.items():
        cells = "".join(f"<td>{number(own[name]['value']) if name in own else ''}</td>" for name in names)
        lines.append(f"<tr><td>{escape(metric)}, {escape(which)}, {escape(protocol)}</td>{cells}</tr>")
    notes = "".join(
        f"<dt>{escape(known)}</dt><dd>{escape('; '.join(f'{key} {value}' for key, value in protocol.items()))}</dd>"
        for known, protocol in protocols.items()
    )
    return (
        "<section><h2>Scores</h2><div class=scroll><table class=numbers>"
        f"<thead><tr><th>metric, checkpoint, protocol</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"<p class=quiet>Scores of different protocols must not be compared.</p><dl class=quiet>{notes}</dl></section>"
    )


def _last_samples(names, workdirs):
    figures = []
    for name, workdir in zip(names, workdirs, strict=True):
        grids = sorted((path for path in (workdir / "samples").glob("*.png") if path.stem.isdecimal()), key=_step)
        if grids:
            figures.append(_figure(_grid_uri(grids[-1]), f"{name}, step {_step(grids[-1]):,}", f"Samples of {name}"))
    return f"<section><h2>Samples</h2><div class=charts>{''.join(figures)}</div></section>" if figures else ""


def _curves_together(names, rows):
    """One chart a quantity that more than one run has, a curve a run."""
    quantities = {}
    for name, own in zip(names, rows, strict=True):
        for chart in charts(own):
            for series in chart.series:
                title = chart.title if chart.title == series.name else f"{chart.title}: {series.name}"
                quantities.setdefault(title, chart._replace(title=title, series=[])).series.append(series._replace(name=name))
    figures = "".join(
        f"<figure><figcaption>{escape(chart.title)}{legend(chart)}</figcaption>{svg(chart)}</figure>"
        for chart in quantities.values()
        if len(chart.series) > 1
    )
    return f"<section><h2>Curves</h2><div class=charts>{figures}</div></section>" if figures else ""


def rows_by_step(lines) -> list[dict]:
    """Joins a journal's lines of the same step, in order of steps; what was written last wins."""
    rows = {}
    for line in lines:
        rows.setdefault(line["step"], {}).update(line)
    return [rows[step] for step in sorted(rows)]


def _read_config(path):
    if not path.exists():
        return {}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(about, dict) or not isinstance(about.get("config", {}), dict):
        raise UserError(f'{path} should hold a JSON object whose "config" is an object')
    return about


# Measurements


def _measured(rows):
    """The rows with measurements, as `(step, {name: value})`, and the names in order of appearance."""
    found = [
        (row["step"], {key.removeprefix("eval/"): value for key, value in row.items() if key.startswith("eval/")}) for row in rows
    ]
    found = [(step, scores) for step, scores in found if scores]
    return found, list(dict.fromkeys(name for _, scores in found for name in scores))


def _best(found, names):
    """`(name, index into found)` of the lowest value of what is measured first: the loop's rule for its best checkpoint."""
    values = [scores.get(names[0]) for _, scores in found]
    return names[0], min((i for i, value in enumerate(values) if finite(value)), key=lambda i: values[i], default=None)


def _summary(steps, rows, found, names):
    if not rows:
        return "No step has been logged yet."
    last = rows[-1]["step"]
    parts = [f"Step {last:,} of {steps:,}" if isinstance(steps, int) else f"Step {last:,}"]
    seconds = next((row["time"] for row in reversed(rows) if finite(row.get("time"))), None)
    if seconds is not None:
        parts[0] += f" after {_duration(seconds)}"
    if found:
        step, scores = found[-1]
        parts.append(f"At step {step:,}: " + ", ".join(f"{name} {number(value)}" for name, value in scores.items()))
        deciding, index = _best(found, names)
        if index is not None:
            parts.append(f"Best {deciding}: {number(found[index][1][deciding])} at step {found[index][0]:,}")
    return ". ".join(parts) + "."


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _scores(found, names):
    if not found:
        return ""
    deciding, best = _best(found, names)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = []
    for i, (step, scores) in enumerate(found):
        marks = [mark for mark, here in (("best", i == best), ("final", i == len(found) - 1)) if here]
        cells = "".join(f"<td>{escape(number(scores[name])) if name in scores else ''}</td>" for name in names)
        lines.append(f"<tr class='{' '.join(marks)}'><td>{step:,}</td>{cells}<td>{', '.join(marks)}</td></tr>")
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(about(name)[1])}</dd>" for name in names if about(name)[1])
    return (
        "<section><h2>Scores</h2><div class=scroll><table class=numbers>"
        f"<thead><tr><th>step</th>{head}<th></th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"<p class=quiet>Best is the lowest {escape(deciding)}. Compare scores only at one held-out set and sample count.</p>"
        f"<dl class=quiet>{notes}</dl></section>"
    )


# Pictures


def _samples(grids, animations):
    figures = []
    if grids:
        figures.append(_figure(_grid_uri(grids[-1]), f"Step {_step(grids[-1]):,}", f"Samples at step {_step(grids[-1])}"))
    for animation, caption in animations.items():
        if animation.exists() and animation.stat().st_size <= EMBEDDED_BYTES:
            figures.append(_figure(_uri(animation.read_bytes(), "gif"), caption, f"Animation of samples: {caption.lower()}"))
        elif animation.exists():
            figures.append(f"<p class=quiet>{animation.name} is too large for this page and lies beside it.</p>")
    strip = ""
    if len(grids) > 1:
        shown = [(path, _step(path)) for path in evenly(grids, THUMBNAILS)]
        thumbnails = (_figure(_thumbnail_uri(path), f"{step:,}", f"Samples at step {step}") for path, step in shown)
        strip = f"<h3>By step</h3><div class=strip>{''.join(thumbnails)}</div>"
    return f"<section><h2>Samples</h2><div class=pair>{''.join(figures)}</div>{strip}</section>" if figures else ""


def _step(path):
    return int(path.stem)


def _figure(uri, caption, description):
    return f'<figure><img src="{uri}" alt="{escape(description)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _uri(data, kind):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _grid_uri(path):
    return _uri(path.read_bytes(), "png") if path.stat().st_size <= EMBEDDED_BYTES else _thumbnail_uri(path, side=1600)


def _thumbnail_uri(path, side=280):
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=85, method=0)  # the fastest, a tenth larger
    return _uri(buffer.getvalue(), "webp")


# Curves


def _curves(rows):
    drawn = charts(rows)
    figures = "".join(
        f"<figure><figcaption>{escape(chart.title)}{legend(chart)}</figcaption>{svg(chart)}</figure>" for chart in drawn
    )
    thinned = any(len(series.steps) > DRAWN_POINTS for chart in drawn for series in chart.series)
    note = (
        "<p class=quiet>Long curves show means over short stretches of steps; the band holds the middle 80% of each.</p>"
        if thinned
        else ""
    )
    return f"<section><h2>Curves</h2><div class=charts>{figures}</div>{note}</section>" if drawn else ""


# Tables of facts


def _facts(title, facts):
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in _flat(facts))
    return f"<section><h2>{escape(title)}</h2><div class=scroll><table>{rows}</table></div></section>" if rows else ""


def _flat(facts, prefix=""):
    """Yields `(dotted name, text)` for each leaf of nested dicts."""
    if not isinstance(facts, dict):
        yield prefix.removesuffix("."), facts if isinstance(facts, str) else json.dumps(facts, ensure_ascii=False)
        return
    for key, value in facts.items():
        yield from _flat(value, f"{prefix}{key}.")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

# Series differ in colour (Okabe and Ito's colour-blind safe set, lighter in the dark) and in dashes.
STYLE = """
:root { --paper: #fff; --ink: #1c1e21; --quiet: #62676d; --rule: #e2e4e7; --best: #eef5ea;
  --c0: #0072b2; --c1: #d55e00; --c2: #008060; --c3: #a8508a; --c4: #8a6d00; --c5: #333; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181b; --ink: #e3e5e8; --quiet: #9aa0a6; --rule: #33373c; --best: #22301f;
  --c0: #56b4e9; --c1: #f08a4b; --c2: #2fc39b; --c3: #dd92bf; --c4: #e6c229; --c5: #ccc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; padding-top: 12px; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 24px 0 8px; }
header p { margin: 0; }
.quiet, figcaption { color: var(--quiet); font-size: .875rem; }
figcaption { margin: 2px 0 6px; }
figure { margin: 0; min-width: 0; }
img { display: block; max-width: 100%; height: auto; }
.pair { display: flex; flex-wrap: wrap; gap: 0 20px; }
.pair section { flex: 1 1 320px; min-width: 0; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; }
.strip img { width: 100%; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 24px; }
.charts figure { display: flex; flex-direction: column; justify-content: space-between; }
.charts figcaption { color: var(--ink); }
.charts figcaption span { color: var(--quiet); margin-left: 10px; white-space: nowrap; }
.charts > figure > svg { width: 100%; display: block; }
svg text { font-size: 12px; fill: var(--quiet); }
.rule { stroke: var(--rule); }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.band { opacity: .18; }
.c0 { stroke: var(--c0); } .f0 { fill: var(--c0); }
.c1 { stroke: var(--c1); stroke-dasharray: 7 3; } .f1 { fill: var(--c1); }
.c2 { stroke: var(--c2); stroke-dasharray: 2 3; } .f2 { fill: var(--c2); }
.c3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } .f3 { fill: var(--c3); }
.c4 { stroke: var(--c4); stroke-dasharray: 12 4; } .f4 { fill: var(--c4); }
.c5 { stroke: var(--c5); stroke-dasharray: 4 2 1 2; } .f5 { fill: var(--c5); }
.scroll { overflow: auto; max-height: 520px; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: 4px 16px 4px 0; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody th, table:not(.numbers) th { font-weight: 500; color: var(--quiet); }
.numbers { font-variant-numeric: tabular-nums; }
.numbers td:not(:last-child), .numbers th { text-align: right; }
.numbers thead th { position: sticky; top: 0; background: var(--paper); }
.best { background: var(--best); }
.final td, .best td { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; }
dd { margin: 0; }
"""
