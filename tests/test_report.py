"""The run's page: whole, self-contained, and true to what the run wrote."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxgan import charts, journal, pictures, report
from jaxgan.types import UserError

VOID = {"meta", "img", "br", "hr", "link", "input"}


def make_run(folder, steps=40, every=5):
    """Writes a run directory like the loop's: training lines, measurements, grids and an animation."""
    rng = np.random.default_rng(0)
    about = {
        "variant": "sngan",
        "config": {
            "dataset": "digits",
            "steps": steps,
            "note": '<script>alert(1)</script> & "q"',
            "nested": {"sizes": [8, 8, 1], "flip": False},
        },
        "versions": {"jax": "0.12.0", "python": "3.13"},
        "device": "cpu, 1 device, float32",
    }
    (folder / "config.json").write_text(json.dumps(about))
    lines, frames = [], []
    for step in range(1, steps + 1):
        lines.append(
            {
                "step": step,
                "time": step * 2.0,
                "images_per_second": 2000.0 + step,
                "disc/loss": 1 / step,
                "disc/real": 0.5,
                "disc/fake": -0.5,
                "gen/loss": -step / 7,
                "gen/penalty": 3.0,
            }
        )
        if step % every == 0:
            lines.append(
                {
                    "step": step,
                    "eval/fid64": (step - 30) ** 2 / 10 + 0.7,
                    "eval/kid": -0.001,
                    "eval/precision": 0.8,
                    "eval/recall": 0.7,
                    "eval/density": 1.1,
                    "eval/coverage": 0.6,
                }
            )
            frames.append(pictures.grid(rng.uniform(-1, 1, (16, 8, 8, 1))))
            pictures.save_png(folder / "samples" / f"{step:08d}.png", frames[-1])
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if frames:
        pictures.save_gif(folder / "samples.gif", frames)
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Path and text of a full page."""
    path = report.write_report(make_run(tmp_path_factory.mktemp("run")))
    return path, path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Checks that elements nest, and gathers what the page loads and says."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Notes the element, and the address of anything it loads."""
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]

    def handle_startendtag(self, tag, attrs):
        """Self-closing elements occur inside SVG only."""
        assert "svg" in self.open, tag

    def handle_endtag(self, tag):
        """Every end tag closes the innermost open element."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keeps visible words."""
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data.strip())


def broken(text):
    """Counts the page's pictures that do not decode."""
    failed = 0
    for source in Outline(text).sources:
        try:
            Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))).load()
        except (OSError, ValueError):
            failed += 1
    return failed


def test_every_picture_decodes_and_every_curve_has_extent(page):
    """Latest grid, animation and eight thumbnails."""
    assert len(Outline(page[1]).sources) == 10 and broken(page[1]) == 0
    assert broken(page[1].replace("data:image/gif;base64,R0", "data:image/gif;base64,AA")) == 1
    curves = [[point.partition(",")[0] for point in points.split()] for points in re.findall('<polyline points="(.*?)"', page[1])]
    assert curves and all(float(across[-1]) > float(across[0]) for across in curves)


def test_page_is_well_formed_and_self_contained(page):
    outline = Outline(page[1])
    assert len(outline.sources) == 10 and all(source.startswith("data:image/") for source in outline.sources)
    assert not re.search(r"https?:|url\(|@import|<script", page[1])
    for svg in re.findall(r"<svg viewBox.*?</svg>", page[1]):
        ElementTree.fromstring(svg)


def test_page_says_what_the_run_was(page):
    words = Outline(page[1]).words
    assert "sngan on digits" in words
    assert (
        "Step 40 of 40 after 1 min 20 s. At step 40: fid64 10.7000, kid -0.0010, precision 0.8000, recall 0.7000, "
        "density 1.1000, coverage 0.6000. Best fid64: 0.7000 at step 30."
    ) in words
    assert '<script>alert(1)</script> & "q"' in words  # as text
    for fact in ("nested.sizes", "[8, 8, 1]", "nested.flip", "false", "versions.jax", "0.12.0", "cpu, 1 device, float32"):
        assert fact in words


def test_table_marks_best_and_final(page):
    rows = re.findall(r"<tr class='(.*?)'><td>(\d+)</td><td>([\d.]+)</td>", page[1])
    assert [(step, mark) for mark, step, _ in rows if mark] == [("30", "best"), ("40", "final")]
    assert len(rows) == 8 and rows[0] == ("", "5", "63.2000")


def test_charts_sort_what_was_logged(page):
    rows = report.rows_by_step(journal.read(page[0].parent / "metrics.jsonl"))
    drawn = [(chart.title, chart.unit, [series.name for series in chart.series]) for chart in charts.charts(rows)]
    assert drawn == [
        ("losses", "loss", ["disc/loss", "gen/loss"]),
        ("critic scores", "mean score", ["disc/real", "disc/fake"]),
        ("fid64", "Fréchet distance on 64 pixels", ["fid64"]),
        ("kid", "kernel distance", ["kid"]),
        ("precision and recall", "share", ["precision", "recall", "density", "coverage"]),
        ("gen/penalty", "penalty", ["gen/penalty"]),
        ("speed", "images per second", ["images_per_second"]),
    ]
    assert charts.charts(rows)[2].series[0].steps == list(range(5, 41, 5))


def test_metrics_survive_a_crash_and_a_resume(tmp_path):
    """A half-written line is skipped; steps played twice count once, with what was written last."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "a": 1.0}\n{"step": 2, "a": 2.0}\n{"step": 2, "eval/b": 5}\n{"step": 3, "a": 3.0}\n'
        '{"step": 4, "a": 4\n{"step": 2, "a": 20.0}\n[1]\n{"step": Infinity}\n{"step": 3, "a": NaN}\n{"st'
    )
    rows = report.rows_by_step(journal.read(path))
    assert rows[:2] == [{"step": 1, "a": 1.0}, {"step": 2, "a": 20.0, "eval/b": 5}]
    (chart, *_) = [chart for chart in charts.charts(rows) if chart.title == "a"]
    assert chart.series[0].steps == [1, 2]  # step 3 ended as NaN, which no curve shows


@pytest.mark.parametrize("present", [(), ("config.json",), ("metrics.jsonl",), ("samples",), ("samples.gif",)])
def test_missing_pieces_leave_their_section_out(tmp_path, present):
    make_run(tmp_path)
    sections = {
        "config.json": ["Configuration", "Made with"],
        "metrics.jsonl": ["Curves", "Scores"],
        "samples": ["Samples"],
        "samples.gif": ["Samples"],
    }
    for piece in sections.keys() - set(present):
        (tmp_path / piece).rename(tmp_path / f"hidden-{piece}")
    text = report.write_report(tmp_path).read_text(encoding="utf-8")
    Outline(text)
    assert re.findall(r"<h2>(.*?)</h2>", text) == [title for name in present for title in sections[name]]


def test_a_run_before_its_first_measurement_has_a_page(tmp_path):
    make_run(tmp_path, steps=1)
    text = report.write_report(tmp_path).read_text(encoding="utf-8")
    Outline(text)
    assert "Step 1 of 1 after 2 s." in text and "Scores" not in text and "nan" not in text


def test_hundreds_of_grids_stay_a_small_page(tmp_path):
    rng = np.random.default_rng(0)
    pictures.save_png(tmp_path / "samples" / "00000000.png", pictures.grid(rng.uniform(-1, 1, (64, 32, 32, 3))))
    first = (tmp_path / "samples" / "00000000.png").read_bytes()
    for step in range(10, 3000, 10):
        (tmp_path / "samples" / f"{step:08d}.png").write_bytes(first)
    (tmp_path / "samples.gif").write_bytes(b"GIF89a" + bytes(report.EMBEDDED_BYTES))
    path = report.write_report(tmp_path)
    text = path.read_text(encoding="utf-8")
    steps = re.findall(r"<figcaption>([\d,]+)</figcaption>", text)
    assert len(steps) == report.THUMBNAILS and steps[0] == "0" and steps[-1] == "2,990"
    assert "<figcaption>Step 2,990</figcaption>" in text and "lies beside it" in text
    assert path.stat().st_size < 2_000_000


def curve_points(drawing, kind="polyline"):
    text = re.search(rf'<{kind} points="(.*?)"', drawing)[1]
    return np.array([point.split(",") for point in text.split()], float)


def test_curves_are_drawn_to_scale():
    """A straight line stays straight, rises upwards and ends where the axes say."""
    drawing = charts.svg(charts.Chart("t", "u", False, [charts.Series("a", [0, 50, 100], [0.0, 5.0, 10.0])]))
    points = curve_points(drawing)
    left, right, top, bottom = charts.LEFT, charts.WIDTH - charts.RIGHT, charts.TOP, charts.HEIGHT - charts.BOTTOM
    np.testing.assert_allclose(points, [[left, bottom], [(left + right) / 2, (top + bottom) / 2], [right, top]], atol=0.06)
    assert [label for label in ("0", "2", "10", "20", "100") if f">{label}</text>" in drawing] == ["0", "2", "10", "20", "100"]


def test_wide_positive_measurements_get_a_log_axis():
    steps, values = [1, 2, 3], [1.0, 10.0, 100.0]
    wide = charts.svg(charts.Chart("t", "u", True, [charts.Series("a", steps, values)]))
    assert "log scale" in wide
    y = curve_points(wide)[:, 1]
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.11)
    for wide, others in ((False, values), (True, [-1.0, 10.0, 100.0]), (True, [1.0, 2.0, 3.0])):
        assert "log scale" not in charts.svg(charts.Chart("t", "u", wide, [charts.Series("a", steps, others)]))


def test_long_curves_are_thinned_to_means_with_a_band():
    values = np.where(np.arange(20_000) % 2, 1.0, 3.0).tolist()
    drawing = charts.svg(charts.Chart("t", "u", False, [charts.Series("a", list(range(20_000)), values)]))
    assert len(curve_points(drawing)) == charts.DRAWN_POINTS
    assert np.ptp(curve_points(drawing)[:, 1]) == 0  # every stretch has mean 2
    assert np.ptp(curve_points(drawing, "polygon")[:, 1]) > 100


def test_single_and_constant_values_have_a_place():
    for values in ([2.5], [2.5, 2.5]):
        drawing = charts.svg(charts.Chart("t", "u", True, [charts.Series("a", list(range(len(values))), values)]))
        assert np.isfinite(curve_points(drawing)).all()


def test_bad_run_directories_are_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no run directory"):
        report.write_report(tmp_path / "missing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        report.write_report(tmp_path)
    for text in ("[]", '{"config": 3}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match="JSON object"):
            report.write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
