"""Who may import whom: the architecture, kept by reading the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {
    "divergences",
    "transport",
    "objectives",
    "penalties",
    "transforms",
    "lipschitz",
    "latents",
    "attacks",
    "metrics",
    "sentinel",
}
KEEPERS = {"data", "checkpoint", "pictures", "journal", "charts"}
MAY_IMPORT = {
    "types": set(),
    "__init__": {"*"},
    **dict.fromkeys(LEAVES, {"types"} | LEAVES),
    "attacks": {"types", "nets"} | LEAVES,  # they put a model's convolutions on the fast path, as networks does
    "nets": {"types", "nets", "parallel"},  # whose forms for CPUs depend on the kind of CPU
    "networks": {"types", "nets"},
    "parallel": {"types"},
    "inception": {"types", "networks", "nets", "parallel"},
    "game": {"types", "parallel", "transforms"},
    **dict.fromkeys(("dynamics", "games"), {"types", "parallel", "game", "dynamics", "games"} | LEAVES),
    **dict.fromkeys(KEEPERS, {"types"} | KEEPERS),
    "report": {"types", "report"} | KEEPERS,
    "train": {"types", "parallel", "report", "sentinel"} | KEEPERS,
    "ensemble": {"types"},
    "classifier": {"types", "nets"},
    "runs": {"types", "train", "ensemble"} | KEEPERS,
}  # by room: a module of jaxgan, or a package with all its files


def imported(source: str):
    """Yields the dotted names a file imports, anywhere in it; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def complaint(room: str, name: str) -> str | None:
    """Says what is wrong with a room's importing a name, or None."""
    top, _, rest = name.partition(".")
    target = rest.partition(".")[0]
    if top == "":
        return "is relative; write it out from jaxgan on"
    if top == "experiments":
        return "turns the library upside down: experiments compose jaxgan"
    if top == "flax" and room not in ("networks", "nets"):
        return "brings Flax out of networks and nets"
    if room not in MAY_IMPORT:
        return f"comes from a room unknown to MAY_IMPORT: say there whom {room} may import"
    if top == "jaxgan" and not {target, "*"} & MAY_IMPORT[room]:
        return f"is not among {', '.join(sorted(MAY_IMPORT[room])) or 'nothing'}"
    return None


@pytest.mark.parametrize("file", sorted((ROOT / "jaxgan").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_follow_the_architecture(file):
    room = file.relative_to(ROOT / "jaxgan").with_suffix("").parts[0]
    found = {name: complaint(room, name) for name in imported(file.read_text(encoding="utf-8"))}
    wrong = [f"{file.relative_to(ROOT)}: import of {name} {why}" for name, why in found.items() if why]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("nets", "from jaxgan.objectives import hinge"),
        ("nets", "from jaxgan import objectives"),
        ("games", "import jaxgan.nets.mlp"),
        ("train", "def f():\n    from jaxgan import games"),
        ("types", "from experiments import config"),
        ("objectives", "from flax import linen"),
        ("game", "from . import types"),
        ("types", "import jaxgan"),
        ("brand_new", "import math"),
    ],
)
def test_a_forbidden_import_is_seen(room, line):
    assert any(complaint(room, name) for name in imported(line))
