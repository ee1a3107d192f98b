"""Nine "generators" of digits: a fake that one metric rates highly is seen through by another, so no metric suffices (A8).

One generator hands out real digits that the metrics have not seen; the other eight are simple rules, right in some way and wrong
in another. Gaussian, class means, independent pixels and mean image are made from the real digits that all are compared with,
average, digits 0-4 and ten images from the other half. A metric is fooled by the two fakes it rates highest; the metric on which
a fake keeps the least share of unseen real digits' score sees through it. (Distances, near 0 for real digits, have no shares.)

Reference:
    Theis et al., 2016 (https://arxiv.org/abs/1511.01844): a model that is good by one criterion need not be good by another.
"""

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from experiments import figures
from jaxgan import data, metrics, pictures

COUNT, SHOWN = 898, 10  # samples judged and drawn
HONEST = "other half"
LOWER, HIGHER = -1, 1  # is better
METRICS = {
    "FID64": (LOWER, "squared\ndistance"),
    "KID": (LOWER, "squared\ndistance"),
    "precision": (HIGHER, "share of\nsamples"),
    "recall": (HIGHER, "share of\nreal digits"),
    "density": (HIGHER, "balls / k\nper sample"),
    "coverage": (HIGHER, "share of\nreal digits"),
    "IS": (HIGHER, "classes,\n1 to 10"),
}
PROTOCOL = (
    f"{COUNT} samples of each against {COUNT} real digits; features are the 64 pixels in [-1, 1]; k = 5, open balls; KID "
    "unbiased, of all pairs;\nIS of one split, by a logistic regression trained on the real digits."
)
BOUNDS = {"FID64": 2.5, "precision": 0.5, "recall": 0.3, "coverage": 0.4}  # what a good generator keeps, all at once


def make():
    """Draws ten samples of each generator beside its scores, and says which fakes fool a metric and which metric sees through."""
    real, labels, generated = generators()
    scores = judge(real, labels, generated)
    deceived = fooled(scores)
    within = lambda own: all(METRICS[metric][0] * (own[metric] - bound) > 0 for metric, bound in BOUNDS.items())
    asked = ", ".join(f"{metric} {'<' if METRICS[metric][0] == LOWER else '>'} {bound}" for metric, bound in BOUNDS.items())
    passed = [name for name, own in scores.items() if within(own)]

    figure, [[left, right]] = figures.panels(1, 2, 7.0, 8.6)
    figure.suptitle("Each metric rates some fakes highly that another sees through", fontsize=14)
    shown = np.concatenate([samples[:SHOWN] for samples in generated.values()]).reshape(-1, 8, 8, 1)
    left.imshow(pictures.grid(shown, SHOWN), extent=(0, SHOWN, len(scores) - 0.5, -0.5), aspect="auto")
    left.set_yticks(range(len(scores)), scores, fontsize=11)
    left.set(title=f"the first {SHOWN} samples", xticks=[])
    image = show(right, scores, deceived)
    bar = figure.colorbar(image, ax=right, label="place among the nine, of equals the last", ticks=range(1, len(scores) + 1))
    bar.ax.invert_yaxis()
    lines = [f"{'metric':<11}{'real digits':<13}the two fakes it rates highest, framed above, and what sees through each of them"]
    for metric, fakes in deceived.items():
        cells = [f"{name} {own['score']:#.3g}, but {own['seen through by']} {own['there']:#.3g}" for name, own in fakes.items()]
        lines.append(f"{metric:<11}{scores[HONEST][metric]:<#13.3g}" + "".join(f"{cell:<50}" for cell in cells))
    lines += ["", f"What passes {asked}, all at once: {', '.join(passed)}.", PROTOCOL]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", family="monospace", fontsize=10)
    numbers = {"scores": scores, "fooled": deceived, "asked": asked, "pass all that is asked": passed}
    return figure, {"protocol": PROTOCOL.replace("\n", " "), **numbers}


def show(axes, scores, deceived):
    """Draws the table of scores, coloured by the places that each metric gives, with a frame around the fakes that fool it."""
    table = np.array([[own[metric] for metric in METRICS] for own in scores.values()])
    place = rankdata([-sign for sign, _ in METRICS.values()] * table, "max", axis=0)
    frame = 0.46 * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]])
    for j, fakes in enumerate(deceived.values()):
        extremes = {place[:, j].min(): "\nbest", place[:, j].max(): "\nworst"}
        for i, name in enumerate(scores):
            text = f"{table[i, j]:#.3g}{extremes.get(place[i, j], '')}"
            axes.text(j, i, text, color="white" if place[i, j] > 5 else "black", ha="center", va="center", fontsize=10)
            if name in fakes:
                axes.plot(j + frame[0], i + frame[1], color=figures.VERMILION, linewidth=3)
    heads = [f"{metric} {'↑' if sign == HIGHER else '↓'}\n{unit}" for metric, (sign, unit) in METRICS.items()]
    axes.set_xticks(range(len(heads)), heads, fontsize=9)
    axes.set_yticks([])
    axes.tick_params(top=False, bottom=False, labeltop=True, labelbottom=False)
    return axes.imshow(place, "cividis_r", aspect="auto")


def generators():
    """Makes samples: real digits `[898, 64]`, their labels, and by name what nine generators hand out, `[898, 64]` each."""
    train, held = data.images.digits(size=0)
    real, other = (metrics.pixels(data.images.as_meant(part.images, part.middle)) for part in (held, train))
    labels, other = held.labels, other[:COUNT]
    few = other[train.labels[:COUNT] < 5]
    rng = np.random.default_rng(0)
    means = np.stack([real[labels == label].mean(0) for label in range(10)])
    generated = {
        HONEST: other,
        "gaussian": rng.multivariate_normal(real.mean(0), np.cov(real, rowvar=False), COUNT).clip(-1, 1),
        "average of two": (other[rng.permutation(COUNT)] + other) / 2,
        "digits 0-4": np.resize(few, (COUNT, 64)),
        "class means": means[rng.integers(10, size=COUNT)] + 0.05 * rng.standard_normal((COUNT, 64)),
        "pixels independent": np.stack([rng.permutation(column) for column in real.T], axis=1),
        "ten images": other[np.arange(COUNT) % 10],
        "mean image": real.mean(0) + 0.01 * rng.standard_normal((COUNT, 64)),
        "noise": rng.uniform(-1, 1, (COUNT, 64)),
    }
    return real, labels, generated


def judge(real, labels, generated):
    """Gives each generator's scores by every metric."""
    classifier = LogisticRegression(max_iter=5000).fit(real, labels)
    return {
        name: {
            "FID64": metrics.frechet_distance(real, fake),
            "KID": metrics.kernel_distance(real, fake),
            **metrics.prdc(real, fake),
            "IS": metrics.inception_score(classifier.predict_proba(fake), splits=1).mean,
        }
        for name, fake in generated.items()
    }


def fooled(scores):
    """Finds by metric the two fakes it rates highest, and for each of them who sees through it."""
    fakes = [name for name in scores if name != HONEST]
    share = lambda name, metric: scores[name][metric] / scores[HONEST][metric]

    def told(name, metric):
        by = min((other for other, (sign, _) in METRICS.items() if sign == HIGHER), key=lambda other: share(name, other))
        seen = {"seen through by": by, "there": scores[name][by], "share of real digits' score": share(name, by)}
        return {"score": scores[name][metric], **seen}

    best = {metric: sorted(fakes, key=lambda name: -sign * scores[name][metric])[:2] for metric, (sign, _) in METRICS.items()}
    return {metric: {name: told(name, metric) for name in names} for metric, names in best.items()}
