"""The benchmark says what it measured, in turns with a peer, and names mistakes in one line (issue 3)."""

import json
import subprocess
import sys

import pytest

from experiments import benchmark
from jaxgan.nets import conv


def told(capsys, *flags):
    assert benchmark.main([*flags, "--batch=2", "--repeats=1"]) == 0
    printed = capsys.readouterr().out
    return json.loads(printed.splitlines()[-1]), printed


@pytest.mark.slow
def test_one_json_line_a_ratio_and_a_profile(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(conv, "_TILES", 0)  # which need fewer products, on some CPUs
    peer = tmp_path / "peer.py"
    peer.write_text("import sys\nprint('dcgan median ms', sys.argv[1])\n")
    line, printed = told(capsys, "--round=dcgan", f"--peer={peer} 1234.5", f"--profile={tmp_path / 'trace'}")
    assert line["median_ms"] > 0 and line["compile_s"] > 0 and line["peak_mb"] > line["round_mb"] > 0
    assert line["gflop"] > 0.5 and line["images_per_second"] == pytest.approx(2e3 / line["median_ms"], rel=0.02)
    assert line["peer_ms"] == 1234.5 and line["ratio"] == pytest.approx(1234.5 / line["median_ms"], rel=0.02)
    assert " ms " in printed and list((tmp_path / "trace").rglob("*.trace.json.gz"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [("--round=sngan", "--no_joint"), ("--round=wgan_gp", "--remat"), ("--round=dcgan", "--precision=bfloat16")]
)
def test_every_round_runs(capsys, flags):
    assert told(capsys, *flags)[0]["round"] == flags[0].removeprefix("--round=")


def test_plain_convolutions_are_lax_and_compute_the_same():
    import jax
    import jax.numpy as jnp

    from jaxgan.nets import resnet

    x, module = jax.random.normal(jax.random.key(0), (2, 8, 8, 3)), resnet.Discriminator(4, (True, False))
    variables = module.init(jax.random.key(1), x, train=True)
    traced = lambda: (
        module.apply(variables, x, train=True),
        str(jax.make_jaxpr(lambda v: module.apply(v, x, train=True))(variables)),
    )
    ours, own = traced()
    with benchmark.plain_convolutions():
        plain, ordinary = traced()
    assert "jaxgan_conv" in own and "jaxgan_conv" not in ordinary and "conv_general_dilated" in ordinary
    assert jnp.allclose(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--batch=0"], "--batch"),
        (["--repeats=0"], "--repeats"),
        (["--round=biggan"], "biggan"),
        (["--round=dcgan", "--remat"], "--remat"),
    ],
)
def test_mistakes_take_one_line(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(flags)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "words"), [("print('nothing')", "did not print 'median ms NUMBER'"), ("raise SystemExit('no torch')", "no torch")]
)
def test_a_peer_that_fails_is_named(code, words, tmp_path, capsys):
    peer = tmp_path / "peer.py"
    peer.write_text(code)
    with pytest.raises(SystemExit):
        benchmark.run_peer(str(peer))
    assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        benchmark.run_peer("no-such-program 1")
    assert "no-such-program cannot be run" in capsys.readouterr().err


def test_help_needs_no_jax():
    code = "import sys; sys.modules['jax'] = None; from experiments import benchmark; benchmark.main(['--help'])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "--precision" in ended.stdout
