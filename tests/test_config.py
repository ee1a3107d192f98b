"""The command line: two-stage defaults, help without JAX, and one line for every mistake (issue 2, acceptance 8)."""

import ast
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import attack, compare, config, evaluate, sample, table, theory, translate

ROOT = Path(__file__).parents[1]
VARIANTS = sorted(file.stem for file in (ROOT / "experiments" / "variants").glob("[a-z]*.py"))
VARIANT = '''"""{title}

More.
"""
import dataclasses

from experiments.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A toy."""

    width: int = 32
    """Channels."""
    learning_rate: float = 2e-4
    """Of Adam."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Of Adam."""

    def validate(self):
        super().validate()
        if self.width % 2:
            raise ValueError(f"--width={{self.width}} must be even")


PRESETS = {{"quick": Config(), "paper": Config(width=256, dataset="tfds:cifar10")}}
'''


@pytest.fixture(scope="module")
def parse(tmp_path_factory):
    """`config.parse` over a package of two variants."""
    root = tmp_path_factory.mktemp("root")
    package = root / "toy_variants"
    package.mkdir()
    for name, title in {"__init__": "Toys.", "sngan": "SN-GAN: spectral norm one.", "wgan_gp": "WGAN-GP: slope one."}.items():
        (package / f"{name}.py").write_text(VARIANT.format(title=title))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        yield lambda *argv: config.parse(argv, "toy_variants")


def test_variant_and_preset_choose_the_defaults(parse):
    module, quick = parse()
    assert (module.__name__, quick.variant, quick.preset, quick.width) == ("toy_variants.sngan", "sngan", "quick", 32)
    module, paper = parse("--preset", "paper", "--variant", "wgan_gp", "--steps=7", "--flips", "--betas", "0.5", "0.9")
    assert isinstance(paper, module.Config)
    assert (paper.variant, paper.preset, paper.width, paper.dataset) == ("wgan_gp", "paper", 256, "tfds:cifar10")
    assert (paper.steps, paper.flips, paper.betas) == (7, True, (0.5, 0.9))


def test_directory(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("--seed=3", "--dataset=folder:/a b/c")[1].directory == tmp_path / "runs" / "sngan-folder_a_b_c-3"
    assert parse("--workdir=x")[1].directory == tmp_path / "x"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--variant=sngam", "unknown variant 'sngam'; did you mean sngan?"),
        ("--variant wgan-gp", "unknown variant 'wgan-gp'; did you mean wgan_gp?"),
        ("--variant=../sngan", "did you mean sngan?"),
        ("--variant=?", "choose from sngan, wgan_gp"),
        ("--variant", "--variant: expected one argument"),
        ("--preset=papper", "unknown preset 'papper' of sngan; did you mean paper?"),
        ("--stepz=3", "unknown flag --stepz; did you mean --steps?"),
        ("--batch-sise 3", "unknown flag --batch-sise; did you mean --batch_size?"),
        ("--xyzzy", "unknown flag --xyzzy; --help lists them"),
        ("sngan", "stray word 'sngan'"),
        ("--flips=False", "stray word 'False'"),
        ("--steps=0", "--steps=0 must be at least 1"),
        ("--steps=many", "--steps: not a whole number: 'many'"),
        ("--steps", "--steps"),
        ("--batch_size=-1", "--batch_size=-1 must be at least 1"),
        ("--devices=-1", "--devices=-1 must be at least 0"),
        ("--eval_every=-1", "--eval_every=-1 must be at least 0"),
        ("--seed=4294967296", "below 2**32"),
        ("--learning_rate=fast", "--learning_rate: not a number: 'fast'"),
        ("--learning_rate=nan", "--learning_rate=nan is not a finite number"),
        ("--betas 0.5", "--betas"),
        ("--parallel=serial", "'auto', 'pmap', 'shard_map', 'jit'"),
        ("--width=3", "--width=3 must be even"),
    ],
)
def test_a_mistake_is_one_line(parse, capsys, argv, says):
    with pytest.raises(SystemExit) as ended:
        parse(*argv.split())
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert says in err


@pytest.mark.parametrize("argv", [["--help"], ["--variant=wgan_gp", "--preset=paper", "-h"]])
def test_help_lists_variants_and_the_chosen_defaults(parse, capsys, argv):
    with pytest.raises(SystemExit) as ended:
        parse(*argv)
    out = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "SN-GAN: spectral norm one." in out
    assert "WGAN-GP: slope one." in out
    assert f"--width INT Channels. (default: {256 if len(argv) > 1 else 32})" in out


@pytest.mark.parametrize("command", [attack, compare, evaluate, sample, table, theory, translate])
def test_help_shows_each_example_on_a_line_of_its_own(command, capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if f"python {command.__name__.replace('.', '/')}.py" in line]
    assert len(told) > 1 and all(line.startswith("    python ") and line.count("python ") == 1 for line in told)


def test_continuing_may_change_how_long_and_how_but_not_what(parse):
    _, old = parse()
    saved = json.loads(json.dumps(dataclasses.asdict(old)))
    assert config.changed(saved, old) == []
    assert config.changed(dataclasses.asdict(old), old) == []
    free = ["--steps=9", "--devices=2", "--parallel=jit", "--workdir=x", "--log_every=1", "--eval_every=1", "--sample_every=1"]
    assert config.changed(saved, parse(*free, "--checkpoint_every=1", "--tensorboard")[1]) == []
    _, new = parse("--width=64", "--betas", "0.5", "0.9", "--variant=wgan_gp")
    assert config.changed(saved, new) == ["variant: sngan -> wgan_gp", "width: 32 -> 64", "betas: [0.0, 0.9] -> [0.5, 0.9]"]
    del saved["width"]
    assert config.changed(saved | {"depth": 3}, old) == ["width: absent -> 32", "depth: 3 -> absent"]


def test_every_field_that_may_change_exists():
    assert {field.name for field in dataclasses.fields(config.RunConfig)} >= config.RunConfig().may_change


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_keeps_the_contract(variant):
    file = ROOT / "experiments" / "variants" / f"{variant}.py"
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "has no docstring"
    presets = config.parse([f"--variant={variant}"])[0].PRESETS
    assert {"quick"} <= set(presets) <= {"quick", "paper"}
    for preset in presets:
        module, cfg = config.parse([f"--variant={variant}", f"--preset={preset}"])
        assert isinstance(cfg, module.Config)
        assert issubclass(module.Config, config.RunConfig)
        assert callable(module.experiment)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_line_does_not_import_jax(variant):
    code = f"import sys; from experiments import config; config.parse(['--variant={variant}']); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
