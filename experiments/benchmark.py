"""Measures one training round at 32x32 pixels, and prints one JSON line.

    python experiments/benchmark.py --round=sngan --batch=64 --precision=bfloat16
    python experiments/benchmark.py --round=dcgan --plain           the same networks over ordinary lax convolutions
    python experiments/benchmark.py --round=dcgan --profile=trace   a trace, and the operations that take longest
    python experiments/benchmark.py --round=sngan --peer="peer.py 64 5 sngan"   another program, in turns with this one

Close everything else first. A peer is a command that prints "median ms NUMBER" at the end; one that starts with a .py file is
run by this Python. Times differ by machine and by hour: what can be compared are ratios of one run.
"""

import collections
import contextlib
import dataclasses
import gzip
import json
import pathlib
import re
import resource
import shlex
import statistics
import subprocess
import sys
import time
from typing import Literal
from unittest import mock

from experiments import config


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One training round."""

    round: Literal["dcgan", "sngan", "wgan_gp"] = "sngan"
    """dcgan: the networks of Radford et al.; sngan: the residual networks of Miyato et al.; wgan_gp: these with a gradient
    penalty. One turn of either player."""
    batch: int = 64
    """Real examples a round, and as many latents a turn."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks compute in."""
    repeats: int = 5
    """Rounds to time, after one that compiles and one that warms up; with a peer, in each of its turns."""
    plain: bool = False
    """Use lax convolutions as they come, unfused, and no compiler options."""
    regulariser: bool = True
    """False leaves out spectral norm or the gradient penalty, to see what it costs."""
    joint: bool = True
    """Show the critic real and generated images in one pass, as the variants do; the one of dcgan has BatchNorm and takes two."""
    remat: bool = False
    """Keep the inputs of residual blocks alone for the gradient, and compute their insides anew."""
    profile: str = ""
    """Write a profiler trace of one round into this directory, and say which operations take longest."""
    peer: str = ""
    """A command to time in turns with this program, three turns each."""


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    asked = config.read_flags(argv, Benchmark(), __doc__)
    if asked.batch < 1 or asked.repeats < 1:
        config.fail("--batch and --repeats must be at least 1")
    if asked.round == "dcgan" and asked.remat:
        config.fail("--remat is for the residual networks; take --round=sngan or wgan_gp")
    asked = dataclasses.replace(asked, joint=asked.joint and asked.round != "dcgan")
    with plain_convolutions() if asked.plain else contextlib.nullcontext():
        play, told = prepare(asked)
    turns = [], []
    for _ in range(3 if asked.peer else 1):
        turns[0].extend(play() for _ in range(asked.repeats))
        if asked.peer:
            turns[1].append(run_peer(asked.peer))
    median = statistics.median(turns[0])
    told |= {"median_ms": round(median, 1), "images_per_second": round(asked.batch / median * 1e3, 1), **memory()}
    if asked.peer:
        other = statistics.median(turns[1])
        told |= {"peer_ms": round(other, 1), "ratio": round(other / median, 3)}
    if asked.profile:
        profile(play, pathlib.Path(asked.profile))
    print(json.dumps(told))
    return 0


def prepare(asked: Benchmark):
    """Compiles the round; returns `play() -> milliseconds`, and what is known before it runs."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan import game, games, latents, objectives, parallel, penalties, transforms
    from jaxgan.nets import dcgan, resnet
    from jaxgan.networks import compute_in, from_linen
    from jaxgan.types import UNCHANGED, Player

    parallel.keep_freed_memory()
    shape, penalty = (32, 32, 3), None
    if asked.round == "dcgan":
        modules, size, objective = (dcgan.Generator(shape), dcgan.Discriminator()), 100, objectives.non_saturating()
        adam, transform = optax.adam(2e-4, b1=0.5, b2=0.999), UNCHANGED
    else:
        modules, size = (resnet.Generator(shape, remat=asked.remat), resnet.Discriminator(remat=asked.remat)), 128
        objective = objectives.hinge() if asked.round == "sngan" else objectives.wasserstein()
        adam, transform = optax.adam(2e-4, b1=0.0, b2=0.9), UNCHANGED
        if asked.regulariser and asked.round == "sngan":
            transform = transforms.spectral_norm()
        elif asked.regulariser:
            penalty = penalties.gradient_penalty()
    gen, disc = (compute_in(from_linen(module), asked.precision) for module in modules)
    disc_loss, gen_loss = games.adversarial(gen, disc, objective, latents.normal(size), penalty=penalty, joint=asked.joint)
    players = {
        "disc": Player(lambda key: disc.init(key, jnp.zeros((1, *shape))), disc_loss, adam, transform),
        "gen": Player(lambda key: gen.init(key, jnp.zeros((1, size))), gen_loss, adam),
    }
    made = game.make_game(players, game.play_round(players, (("disc", 1), ("gen", 1))), games.generate(gen))
    key = jax.random.key(0)
    state = jax.jit(made.init)(key)
    batch = {"real": jax.random.uniform(key, (1, asked.batch, *shape), minval=-1.0)}
    options = {} if asked.plain else parallel.compiler_options(asked.precision)
    start = time.perf_counter()
    lowered = jax.jit(made.step, donate_argnums=0, compiler_options=options).lower(state, batch, key)
    step = lowered.compile()
    compiled = time.perf_counter() - start

    def play() -> float:
        nonlocal state
        start = time.perf_counter()
        state, metrics = step(state, batch, key)
        jax.block_until_ready((state, metrics))
        return (time.perf_counter() - start) * 1e3

    play()
    told = {name: getattr(asked, name) for name in ("round", "batch", "precision", "plain", "regulariser", "joint", "remat")}
    flops = (lowered.cost_analysis() or {}).get("flops", 0.0)
    device = jax.devices()[0]
    needs = step.memory_analysis()
    own = needs.temp_size_in_bytes + needs.argument_size_in_bytes + needs.output_size_in_bytes - needs.alias_size_in_bytes
    gflop, round_mb = round(flops / 1e9, 1), round(own / 2**20, 1)
    told |= {"device": device.device_kind, "jax": jax.__version__, "compile_s": round(compiled, 1)}
    return play, told | {"gflop": gflop, "round_mb": round_mb}


def memory() -> dict[str, float]:
    """Says how much memory was needed at most: of the device where it counts that, of the process otherwise."""
    import jax

    counted = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    peak = counted or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"peak_mb": round(peak / 2**20, 1)}


def plain_convolutions():
    """Puts what a plain program would write into the place of `jaxgan.nets.conv` while the round is traced."""
    import jax.numpy as jnp
    from jax import lax

    from jaxgan.nets import conv

    layout = ("NHWC", "HWIO", "NHWC")

    def convolve(x, kernel, stride=1, padding=0):
        return lax.conv_general_dilated(x, kernel, (stride, stride), [(padding, padding)] * 2, dimension_numbers=layout)

    return mock.patch.multiple(
        conv,
        conv=convolve,
        conv_down=lambda x, kernel: convolve(x, kernel, 2, 1),
        conv_up=lambda x, kernel: lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=layout),
        upsample_conv=lambda x, kernel: convolve(jnp.repeat(jnp.repeat(x, 2, 1), 2, 2), kernel, padding=1),
        conv_pool=lambda x, kernel: conv.pool(convolve(x, kernel, padding=1)),
    )


def run_peer(command: str) -> float:
    """Runs the peer once; returns the milliseconds it says."""
    words = shlex.split(command)
    words = [sys.executable, *words] if words[0].endswith(".py") else words
    try:
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        config.fail(f"--peer: {words[0]} cannot be run ({error.strerror})")
    told = re.findall(r"median ms (\d+(?:\.\d+)?)", ended.stdout)
    if ended.returncode or not told:
        why = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        config.fail(f"--peer: {command} did not print 'median ms NUMBER' (exit code {ended.returncode}: {why[0]})")
    return float(told[-1])


def profile(play, directory: pathlib.Path) -> None:
    """Traces one round, and prints the operations that took longest, with how often they ran."""
    import jax

    with jax.profiler.trace(str(directory)):
        play()
    newest = max(directory.rglob("*.trace.json.gz"), key=lambda file: file.stat().st_mtime)
    spent, often = collections.Counter(), collections.Counter()
    for event in json.loads(gzip.decompress(newest.read_bytes()))["traceEvents"]:
        if "hlo_op" in event.get("args", {}) and "dur" in event:
            spent[event["args"]["hlo_op"]] += event["dur"]
            often[event["args"]["hlo_op"]] += 1
    for name, microseconds in spent.most_common(20):
        print(f"{microseconds / 1e3:9.1f} ms {often[name]:5d} x {name}")
    print(f"trace: {newest}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
