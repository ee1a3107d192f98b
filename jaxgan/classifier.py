"""A classifier trained on the labelled data themselves, where no pretrained network is at hand: for scores by its features.

Scores through it can be compared with one another on one data set, and with nothing else: they are no FID and no IS.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.nets.classifier import Classifier
from jaxgan.types import Array, PyTree, UserError

BATCH = 128
EPOCHS, STEPS = 120, 2_000  # whichever is less
SHIFT = 8  # images are moved by up to an eighth of their size

Arrays = Mapping[str, np.ndarray]
Keep = Callable[[Callable[[], Arrays], list], Arrays]  # (make, what decides the result) -> what was kept, or is made and kept now


class Trained(NamedTuple):
    """A trained classifier.

    Attributes:
        params: its parameters.
        classes: how many.
        accuracy: share of held-out images it names correctly.
    """

    params: PyTree
    classes: int
    accuracy: float

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits by which this classifier's parameters are known."""
        return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(self.params))).hexdigest()[:8]

    def __call__(self, images) -> tuple[np.ndarray, np.ndarray]:
        """Gives `(features float64 [n, 128], probabilities float64 [n, classes])` of images `[n, height, width, channels]`.

        In blocks of one fixed size, so that an image's row does not depend on how many came with it.

        Raises:
            UserError: no float images in [-1, 1].
        """
        images, found = _checked(images), []
        for start in range(0, len(images), BATCH):
            block = images[start : start + BATCH]
            padded = np.concatenate([block, np.zeros((BATCH - len(block), *block.shape[1:]), np.float32)])
            found.append([np.asarray(part, np.float64)[: len(block)] for part in _look(self.classes, self.params, padded)])
        features, logits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        return features, chances / chances.sum(axis=1, keepdims=True)


def train(
    images, labels, held_images, held_labels, seed: int = 0, say: Callable[[str], None] = print, keep: Keep | None = None
) -> Trained:
    """Trains a classifier; the same data and seed give the same one.

    Args:
        images: float `[n, height, width, channels]` in [-1, 1].
        labels: int `[n]`, 0 .. K - 1.
        held_images, held_labels: others, to state the accuracy by.
        seed: decides initial weights, order and shifts.
        say: is told when training begins, and the accuracy.
        keep: given what makes the parameters and what decides them, hands out those it has kept, or else makes them.

    Raises:
        UserError: no images in [-1, 1], fewer than two classes, or images smaller than 4 x 4.
    """
    images, labels = _checked(images), np.asarray(labels, np.int32)
    classes = int(labels.max()) + 1
    if classes < 2 or min(images.shape[1:3]) < 4:
        raise UserError(f"a classifier needs two classes and images of 4x4, not {classes} and {images.shape[1:3]}")
    steps, key = max(1, min(EPOCHS * len(images) // BATCH, STEPS)), jax.random.key(seed)

    def fit():
        say(f"classifier: training on {len(images):,} images of {images.shape[1]}x{images.shape[2]}, {steps:,} steps")
        return {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(_fit(classes, steps, images, labels, key)))}

    content = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    recipe = [inspect.getsource(part) for part in (Classifier, _fit, shifted)]
    arrays = keep(fit, [content, images.shape, classes, steps, BATCH, SHIFT, seed, *recipe]) if keep else fit()
    tree = jax.tree.structure(jax.eval_shape(lambda: Classifier(classes).init(key, images[:1], train=False)["params"]))
    params = jax.tree.unflatten(tree, [jnp.asarray(arrays[str(i)]) for i in range(tree.num_leaves)])
    found = Trained(params, classes, 0.0)
    accuracy = float(np.mean(found(held_images)[1].argmax(axis=1) == np.asarray(held_labels)))
    say(f"classifier: {accuracy:.1%} of {len(held_labels)} held-out images right")
    return found._replace(accuracy=accuracy)


def _checked(images):
    images = np.asarray(images)
    if images.ndim != 4 or images.size == 0 or images.dtype.kind in "iub":
        raise UserError(f"a classifier takes float images [n, height, width, channels], not {images.dtype} {images.shape}")
    if not np.abs(images).max() <= 1 + 1 / 255:  # NaN, too; half a grey level is rounding
        raise UserError(f"a classifier takes images in [-1, 1], and these go from {images.min():.4g} to {images.max():.4g}")
    return images.astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def _look(classes: int, params: PyTree, images: Array):
    return Classifier(classes).apply({"params": params}, images, train=False)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _fit(classes: int, steps: int, images: Array, labels: Array, key: Array) -> PyTree:
    network = Classifier(classes)
    init_key, order_key, shift_key = jax.random.split(key, 3)
    params = network.init(init_key, images[:1], train=False)["params"]
    reach = max(1, min(images.shape[1:3]) // SHIFT)
    optimizer = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=1e-3)

    def loss_fn(params, x, y):
        logits = network.apply({"params": params}, x, train=True)[1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))

    def step(carried, i):
        params, opt = carried
        chosen = jax.random.randint(jax.random.fold_in(order_key, i), (BATCH,), 0, len(images))
        x = shifted(images[chosen], jax.random.fold_in(shift_key, i), reach)
        updates, opt = optimizer.update(jax.grad(loss_fn)(params, x, labels[chosen]), opt, params)
        return (optax.apply_updates(params, updates), opt), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))
    return params


def shifted(images: Array, key: Array, reach: int) -> Array:
    """Moves each image by up to `reach` pixels either way; its edge fills what is left open."""
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    by = jax.random.randint(key, (len(images), 2), 0, 2 * reach + 1)
    window = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), images.shape[1:])
    return jax.vmap(window)(padded, by)
