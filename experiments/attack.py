"""Attacks trained classifiers, and shows what fools them.

python experiments/attack.py RUN_DIR                                  PGD with restarts at eps = 0.1
python experiments/attack.py RUN_DIR --attack=suite --eps=.05         several attacks, each image's worst
python experiments/attack.py RUN_DIR --attack=rotation                turned and shifted images; the model is a plain function
python experiments/attack.py RUN_DIR RUN_DIR RUN_DIR                  side by side, and which model's examples fool which

eps is for images in [0, 1], as papers state it: 8/255 is 0.0314. For rotation and occlusion the sizes are degrees and shares of
the image's side. Written into --out: attack.json, curve.png (accuracy by size), examples.png (image | perturbation x 10 |
adversarial) and boundary.png (the plane through an image, its adversarial one and a random direction).
"""

import dataclasses
import functools
import json
import math
import pathlib
import sys
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from experiments import config, evaluate, robust

GRADIENT = ("fgsm", "pgd", "apgd", "suite")  # they see gradients; the others ask for values of the loss alone
SPATIAL = {"rotation": (5, 10, 20, 30), "occlusion": (0.125, 0.25, 0.375, 0.5)}  # and their sizes
ATTACKS = (*GRADIENT, "nes", "square", *SPATIAL)
SHARES = (0.25, 0.5, 0.75, 1, 1.5, 2)  # of eps, on the curve
BLOCK = 256  # images attacked at once
CHECKED = 100  # images that the checks for masked gradients look at
SHOWN = 6  # images in examples.png
PIXELS = 101  # a side of boundary.png


@dataclasses.dataclass(frozen=True)
class Request:
    """Attacks trained classifiers, and shows what fools them."""

    attack: str = "pgd"
    """fgsm, pgd, apgd or suite, by gradients; nes or square, by queries; rotation or occlusion, by a grid of transformations."""
    eps: float = 0.1
    """Radius of the perturbations, for images in [0, 1]."""
    norm: Literal["linf", "l2"] = "linf"
    """What the radius is of: the greatest change of a pixel, or the Euclidean length of all changes."""
    steps: int = 0
    """Of an attack; 0 for 40, and for 1000 queries of square."""
    restarts: int = 2
    """How often pgd and apgd start anew, at random."""
    samples: int = 500
    """Held-out images to attack; 0 for all."""
    step: Literal["newest", "best"] = "newest"
    """Which checkpoint."""
    seed: int = 0
    """Decides random starts, queries and directions."""
    out: str = ""
    """Directory for what is written; RUN_DIR/attack, of the first run, if empty."""

    def validate(self) -> None:
        """Checks that every number makes sense.

        Raises:
            ValueError: names the first mistake, and what to do.
        """
        if self.attack not in ATTACKS:
            raise ValueError(f"unknown attack '{self.attack}'" + config.nearest(self.attack, ATTACKS))
        robust.validate_eps(self.eps, self.norm)
        for name, least in {"steps": 0, "restarts": 1, "samples": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"--{name}={getattr(self, name)} must be at least {least}")

    @property
    def sizes(self) -> list[float]:
        """Where the curve has its points, smallest first."""
        if self.attack in SPATIAL:
            return list(SPATIAL[self.attack])
        radii = [share * self.eps for share in SHARES]
        return [eps for eps in radii if self.norm == "l2" or eps <= 1]

    @property
    def size(self) -> float:
        """The one that tables and pictures are of."""
        return self.sizes[-1] if self.attack in SPATIAL else self.eps


class Model(NamedTuple):
    """A trained classifier.

    Attributes:
        name: by which tables know it.
        run: its directory.
        step: of its checkpoint.
        data: what decides its data set, `(dataset, image_size)`.
        infer: `(state, images in [-1, 1]) -> logits`; jitted.
        state: of its game.
    """

    name: str
    run: str
    step: int
    data: tuple[str, int]
    infer: Any
    state: Any

    @property
    def classify(self):
        """Images in [-1, 1] to logits."""
        return functools.partial(self.infer, self.state)


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if {"-h", "--help"}.intersection(argv):
        config.read_flags(["--help"], Request(), __doc__)
    runs = [word for word in argv if not word.startswith("-")]
    request = config.read_flags([word for word in argv if word.startswith("-")], Request(), __doc__)
    if not runs:
        config.fail("name the run's directory first: python experiments/attack.py RUN_DIR --attack=pgd --eps=.1")
    try:
        request.validate()
    except ValueError as error:
        config.fail(error)

    import jax

    from jaxgan.types import UserError

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(config.cache_directory() / "xla"))
    out = pathlib.Path(request.out or pathlib.Path(runs[0], "attack")).expanduser()
    try:
        record = measure([pathlib.Path(run).expanduser().absolute() for run in runs], request, out)
    except UserError as error:
        config.fail(error)
    except OSError as error:
        config.fail(f"cannot write to {out}: {error.strerror or error}; give another --out")
    print("\n".join(table(record)))
    print(f"done: {out}")
    return 0


def measure(runs: list[pathlib.Path], request: Request, out: pathlib.Path) -> dict:
    """Attacks every run's classifier, writes files and pictures, and returns what attack.json holds."""
    import jax
    import numpy as np

    from jaxgan import attacks, data, pictures
    from jaxgan.types import UserError

    models = [model for run in runs for model in load(run, request)]
    if len({model.data for model in models}) > 1:
        raise UserError("these runs were trained on different data; attack runs on one data set together")
    dataset = data.load(*models[0].data, labels=True)
    held = data.held_out(dataset, request.samples or None)
    x, labels = held["real"], held["label"]
    classes, key = dataset.num_classes, jax.random.key(request.seed)
    check, fool = slice(0, CHECKED), functools.partial(attacked, request, classes=classes, key=key)
    found, adversarial = [], []
    for model in models:
        curve = {}
        for size in request.sizes:
            x_adv, by = fool(model, x, labels, size=size)
            wrong = predicted(model.classify, x_adv) != labels
            curve[size] = {"accuracy": float(1 - np.mean(wrong)), "by": {name: float(np.mean(hit)) for name, hit in by.items()}}
            if size == request.size:
                adversarial.append(x_adv)
        masked = attacks.masking(
            functools.partial(robust.ball, request.norm), request.eps, model.classify, x[check], labels[check], key
        )
        found.append(
            {
                "model": model.name,
                "run": model.run,
                "step": model.step,
                "clean": float(np.mean(predicted(model.classify, x) == labels)),
                "robust": curve[request.size]["accuracy"],
                "fooled_by": curve[request.size]["by"],
                "curve": [[size, point["accuracy"]] for size, point in curve.items()],
                "masking": {"passed": masked.passed, "success": masked.success},
            }
        )
    record = {
        "request": dataclasses.asdict(request),
        "data": f"{dataset.name}, {len(x)} held-out images",
        "size": request.size,
        "commit": evaluate.commit(),
        "models": found,
    }
    if len(models) > 1:
        record["transfer"] = transferred(request, models, x, labels, classes, key)
        if request.attack not in SPATIAL:
            noise = signs(request, key, x)
            record["random_sign"] = [float(np.mean(predicted(m.classify, noise) != labels)) for m in models]
    out.mkdir(parents=True, exist_ok=True)
    (out / "attack.json").write_text(json.dumps(record, indent=2) + "\n")
    pictures.save_png(out / "curve.png", curve_picture(record))
    pictures.save_png(out / "examples.png", examples_picture(models[0], x, adversarial[0], labels))
    pictures.save_png(out / "boundary.png", boundary_picture(models[0], x, adversarial[0], labels, request.seed))
    return record


def load(run: pathlib.Path, request: Request) -> list[Model]:
    """Reads a run's classifier, or one for each of its seeds.

    Raises:
        UserError: no such run, or none of a classifier.
    """
    import jax

    from jaxgan import runs
    from jaxgan.types import UserError

    step, experiment, states = runs.restore_each(run, None if request.step == "newest" else request.step)
    if set(states[0].players) != {"classifier"}:
        raise UserError(f"{run} holds no classifier; train one: experiments/run.py --variant=classifier, adv_training or trades")
    cfg = json.loads((run / "config.json").read_text())["config"]
    infer = jax.jit(experiment.phases[0].game.infer)
    told = " ".join([cfg["variant"], *[str(cfg[name]) for name in ("defence", "beta") if name in cfg]])
    return [
        Model(
            f"{told} seed {cfg['seed']}" + f", {i}" * (len(states) > 1),
            str(run),
            step,
            (cfg["dataset"], cfg["image_size"]),
            infer,
            state,
        )
        for i, state in enumerate(states)
    ]


def attacked(request: Request, model: Model, x, labels, size: float, classes: int, key):
    """Attacks images block by block.

    Returns:
        `(x_adv [n, ...], {name: bool [n]})`, and where each member of the suite succeeded.
    """
    import jax
    import numpy as np

    program, keys = fooling(request, model.infer, x.shape[1:], classes), jax.random.split(key, len(x))
    found = [jax.device_get(program(model.state, x[at], labels[at], keys[at], size)) for at in blocks(len(x))]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


@functools.cache
def fooling(request: Request, infer, shape: tuple[int, ...], classes: int):
    """Makes `(state, x, labels, keys, size) -> (x_adv, {name: bool [n]})`, compiled once for all sizes, but for grids."""
    from jaxgan import attacks

    def program(state, x, labels, keys, size):
        tried = members(request, size, shape, classes)
        return tuple(attacks.worst_case(tried, functools.partial(infer, state), x, labels, keys))

    return compiled(request, program)


def compiled(request: Request, program: Callable) -> Callable:
    """Jits what runs an attack, unless it is one that takes the model for an opaque function."""
    import jax

    from jaxgan import parallel

    return program if request.attack in SPATIAL else jax.jit(program, compiler_options=parallel.compiler_options())


def transferred(request: Request, models: list[Model], x, labels, classes: int, key):
    """Measures `attacks.transfer`, block by block; of the suite, by its PGD."""
    import jax
    import numpy as np

    from jaxgan import attacks

    found = members(request, request.size, x.shape[1:], classes)
    member = found["pgd" if request.attack == "suite" else request.attack]

    def program(states, x, labels, keys):
        own = [functools.partial(model.infer, state) for model, state in zip(models, states)]
        return attacks.transfer(member.attack, [attacks.untargeted(m, labels, member.objective) for m in own], x, keys)

    keys, run = jax.random.split(key, len(x)), compiled(request, program)
    states = [model.state for model in models]
    parts = [len(x[at]) * np.asarray(run(states, x[at], labels[at], keys[at]), np.float64) for at in blocks(len(x))]
    return (sum(parts) / len(x)).tolist()


def blocks(count: int) -> list[slice]:
    """Cuts a number of images into blocks."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]


def members(request: Request, size, shape: tuple[int, ...], classes: int) -> dict:
    """Makes the attacks that are asked for, `{name: attacks.Member}`, of one size."""
    from jaxgan import attacks

    name, many, again = request.attack, request.steps or 40, request.restarts
    if name in SPATIAL:
        return {name: attacks.Member(attacks.spatial(transformations(name, shape, size)), attacks.cross_entropy)}
    allowed = robust.ball(request.norm, size)
    makers = {
        "suite": lambda: attacks.ensemble(allowed, classes, many),
        "fgsm": lambda: attacks.Member(attacks.fgsm(allowed), attacks.cross_entropy),
        "pgd": lambda: attacks.Member(attacks.restarts(attacks.pgd(allowed, many), again), attacks.cross_entropy),
        "apgd": lambda: attacks.Member(attacks.restarts(attacks.apgd(allowed, many), again), attacks.cross_entropy),
        "nes": lambda: attacks.Member(attacks.nes(allowed, many), attacks.margin),
        "square": lambda: attacks.Member(attacks.square(allowed, request.steps or 1000), attacks.margin),
    }
    made = makers[name]()
    return made if name == "suite" else {name: made}


def transformations(attack: str, shape: tuple[int, ...], size: float):
    """Lists rotations by up to `size` degrees with shifts of a tenth of the image, or occlusions of a share of its side."""
    from jaxgan import attacks

    if attack == "occlusion":
        return attacks.occlusions(shape, max(1, round(size * min(shape[:2]))), fill=robust.BOX[0])
    reach, steps = max(1, round(min(shape[:2]) / 10)), 8
    degrees = [size * (2 * i / steps - 1) for i in range(steps + 1)]
    return attacks.rotations(degrees, (-reach, 0, reach), fill=robust.BOX[0])


def predicted(classify, x):
    """Gives the classes of images, `[n]`."""
    import numpy as np

    return np.concatenate([np.asarray(classify(x[at])).argmax(axis=1) for at in blocks(len(x))])


def signs(request: Request, key, x):
    """Moves images by as much as the attack may, in a direction that knows nothing: random signs."""
    import jax
    import numpy as np

    allowed = robust.ball(request.norm, request.eps)
    way = jax.random.rademacher(key, x.shape, x.dtype)
    return np.asarray(jax.vmap(allowed.project)(x + jax.vmap(allowed.stride)(way), x))


def table(record: dict) -> list[str]:
    """Writes what was found as lines."""
    models, request = record["models"], record["request"]
    spatial = request["attack"] in SPATIAL
    ball = "" if spatial else f" in {request['norm']}"
    lines = [f"{request['attack']}{ball}, {record['data']}; accuracy by {axis(request)}"]
    sizes, wide = [size for size, _ in models[0]["curve"]], max(len(model["model"]) for model in models) + 2
    lines.append(f"{'':<{wide}}{'clean':>8}" + "".join(f"{size:>8.3g}" for size in sizes))
    for model in models:
        cells = (model["clean"], *(accuracy for _, accuracy in model["curve"]))
        lines.append(f"{model['model']:<{wide}}" + "".join(f"{value:>8.3f}" for value in cells))
        if len(model["fooled_by"]) > 1:
            told = ", ".join(f"{name} {share:.3f}" for name, share in model["fooled_by"].items())
            lines.append(f"  fooled at {record['size']:g} by {told}")
    if "transfer" in record:
        lines.append(f"share that each model (column) gets wrong, of examples made against another (row), at {record['size']:g}")
        lines.append(f"{'':<{wide}}" + "".join(f"{model['model']:>{wide}}" for model in models))
        rows = [(model["model"], row) for model, row in zip(models, record["transfer"])]
        for name, row in [*rows, *([("random sign", record["random_sign"])] if "random_sign" in record else [])]:
            lines.append(f"{name:<{wide}}" + "".join(f"{share:>{wide}.3f}" for share in row))
    for model in models:
        failed = [name for name, passed in model["masking"]["passed"].items() if not passed]
        verdict = f"FAILED {', '.join(failed)}" if failed else "no sign"
        told = ", ".join(f"{name} {share:.2f}" for name, share in model["masking"]["success"].items())
        lines.append(f"masked gradients, {model['model']}: {verdict} ({told})")
    return lines


def axis(request: dict) -> str:
    """Says what the sizes of an attack are."""
    names = {"rotation": "degrees", "occlusion": "share of the side"}
    return names.get(request["attack"], f"eps ({request['norm']}, images in [0, 1])")


def curve_picture(record: dict):
    """Draws accuracy over the attack's size, a line a model, which begins with the clean accuracy at zero."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from jaxgan import pictures

    figure = Figure(figsize=(6, 4), dpi=120, layout="tight")
    axes = figure.add_subplot(xlabel=axis(record["request"]), ylabel="accuracy", ylim=(0, 1.02))
    axes.set_title(f"{record['request']['attack']}, {record['data']}", fontsize=9)
    for model in record["models"]:
        points = [(0, model["clean"]), *model["curve"]]
        axes.plot(*zip(*points), "o-", markersize=4, label=model["model"])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    FigureCanvasAgg(figure)
    return pictures.drawn(figure)


def examples_picture(model: Model, x, x_adv, labels):
    """Draws images, ten times their perturbations and the adversarial ones, with what the model takes each for.

    Images that the attack turned come first.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.special import softmax

    from jaxgan import pictures

    first = turned(model, x, x_adv, labels)[:SHOWN]
    sides = np.stack([x[first], x_adv[first]])
    sure = [softmax(np.asarray(model.classify(side), np.float64), axis=1) for side in sides]
    shown = robust.beside(*sides).reshape(len(first), 3, *x.shape[1:])
    figure = Figure(figsize=(5.4, 1.9 * len(first)), dpi=100, layout="tight")
    for i, (row, label) in enumerate(zip(shown, labels[first])):
        titles = [f"label {label}, {told(sure[0][i])}", "perturbation x 10", told(sure[1][i])]
        for j, (image, title) in enumerate(zip(row, titles)):
            axes = figure.add_subplot(len(first), 3, 3 * i + j + 1, xticks=[], yticks=[])
            axes.set_title(title, fontsize=8)
            axes.imshow(np.clip(image / 2 + 0.5, 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
    FigureCanvasAgg(figure)
    return pictures.drawn(figure)


def turned(model: Model, x, x_adv, labels):
    """Orders images: those first that the model had right and the attack turned, then the others it had right."""
    import numpy as np

    right, fooled = (predicted(model.classify, z) == labels for z in (x, x_adv))
    return np.argsort(~right * 2 + fooled, kind="stable")


def told(chances) -> str:
    """Says what a classifier takes an image for."""
    return f"seen as {chances.argmax()} ({chances.max():.0%})"


def boundary_picture(model: Model, x, x_adv, labels, seed: int):
    """Draws which class the model gives each point of a plane: from an image to its adversarial one, and across at random.

    Both axes are in units of the distance between the two; the plane goes on beyond the images' range.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from jaxgan import pictures

    which = turned(model, x, x_adv, labels)[0]
    start, along = x[which], x_adv[which] - x[which]
    length = max(float(np.linalg.norm(along)), math.ulp(1.0))
    across = np.random.default_rng(seed).standard_normal(start.shape).astype(start.dtype)
    across -= np.sum(across * along) / length**2 * along
    across *= length / np.linalg.norm(across)
    ticks = np.linspace(-2.0, 3.0, PIXELS, dtype=start.dtype)
    down, right = (side.reshape(-1, *[1] * start.ndim) for side in np.meshgrid(ticks - 0.5, ticks, indexing="ij"))
    classes = predicted(model.classify, start + right * along + down * across).reshape(PIXELS, PIXELS)

    figure = Figure(figsize=(5, 4.6), dpi=120, layout="tight")
    axes = figure.add_subplot(xlabel="towards the adversarial image", ylabel="random direction across")
    found = np.unique(classes)
    extent = (ticks[0], ticks[-1], ticks[0] - 0.5, ticks[-1] - 0.5)
    axes.imshow(np.searchsorted(found, classes), origin="lower", extent=extent, cmap="Pastel1", vmin=0, vmax=8, aspect="auto")
    for name in found:
        rows, columns = np.nonzero(classes == name)
        axes.text(ticks[int(np.median(columns))], ticks[int(np.median(rows))] - 0.5, f"class {name}", fontsize=8, alpha=0.7)
    axes.plot([0, 1], [0, 0], "k.-", linewidth=1)
    for at, what in enumerate((f"image, label {labels[which]}", "adversarial")):
        axes.annotate(what, (at, 0), xytext=(0, 6), textcoords="offset points", fontsize=8, ha="center")
    axes.set_title(model.name, fontsize=9)
    FigureCanvasAgg(figure)
    return pictures.drawn(figure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
