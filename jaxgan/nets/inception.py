"""The Inception network that FID and the Inception score are defined by: that of 2015-12-05, as TensorFlow published it.

Szegedy et al., 2016 (https://arxiv.org/abs/1512.00567). It is not the network of that name in torchvision or Keras: it has 1,008
classes, average pools that leave the zeros around the image out of account, a max pool in its very last block, and its own
weights. Submodules are named as in the state dicts of pytorch-fid and torch-fidelity.
"""

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.nets import conv
from jaxgan.nets.channels import add_bias
from jaxgan.types import Array

CLASSES = 1008  # of which 1,000 are ImageNet's


class Unit(nn.Module):
    """Convolves, normalises by statistics that are given, and cuts off below zero.

    Attributes:
        features: output channels.
        size: height and width of the kernel, odd.
        stride: between the outputs, in pixels.
        same: keep the image size, by zeros around it; otherwise kernels stay within the image.
    """

    features: int
    size: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        if self.same:
            x = jnp.pad(x, ((0, 0), *((k // 2, k // 2) for k in self.size), (0, 0)))
        x = conv.conv(x, kernel, self.stride)
        return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(x))


class MixedA(nn.Module):
    """Sees 1x1, 5x5 and twice 3x3, and keeps the image size.

    Attributes:
        pooled: channels of the branch that averages.
    """

    pooled: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = Unit(64, name="branch1x1")(x)
        five = _chain(x, "branch5x5", (48, 1, 1), (64, 5, 5))
        twice = _chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))
        return jnp.concatenate([one, five, twice, Unit(self.pooled, name="branch_pool")(_average(x))], -1)


class MixedB(nn.Module):
    """Halves the image, from 35x35 to 17x17."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _halve(384, "branch3x3")(x)
        twice = _halve(96, "branch3x3dbl_3")(_chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3)))
        return jnp.concatenate([three, twice, _largest(x)], -1)


class MixedC(nn.Module):
    """Sees 1x1, 7x7 and twice 7x7, by rows and columns apart, and keeps the image size.

    Attributes:
        inner: channels within the branches of 7x7.
    """

    inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        c = self.inner
        one = Unit(192, name="branch1x1")(x)
        seven = _chain(x, "branch7x7", (c, 1, 1), (c, 1, 7), (192, 7, 1))
        twice = _chain(x, "branch7x7dbl", (c, 1, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7))
        return jnp.concatenate([one, seven, twice, Unit(192, name="branch_pool")(_average(x))], -1)


class MixedD(nn.Module):
    """Halves the image, from 17x17 to 8x8."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _halve(320, "branch3x3_2")(_chain(x, "branch3x3", (192, 1, 1)))
        seven = _halve(192, "branch7x7x3_4")(_chain(x, "branch7x7x3", (192, 1, 1), (192, 1, 7), (192, 7, 1)))
        return jnp.concatenate([three, seven, _largest(x)], -1)


class MixedE(nn.Module):
    """Sees 1x1, 3x3 and twice 3x3, rows and columns side by side, and keeps the image size.

    Attributes:
        largest: let the pooling branch take the largest of 3x3 pixels instead of their average.
    """

    largest: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = Unit(320, name="branch1x1")(x)
        three = _cross(_chain(x, "branch3x3", (384, 1, 1)), "branch3x3_2")
        twice = _cross(_chain(x, "branch3x3dbl", (448, 1, 1), (384, 3, 3)), "branch3x3dbl_3")
        pooled = nn.max_pool(x, (3, 3), padding="SAME") if self.largest else _average(x)
        return jnp.concatenate([one, *three, *twice, Unit(192, name="branch_pool")(pooled)], -1)


class Classes(nn.Module):
    """Maps features `[batch, features]` to class scores `[batch, CLASSES]`, with a bias and without."""

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        unbiased = x @ self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], CLASSES))
        return add_bias(unbiased, self.param("bias", nn.initializers.zeros, (CLASSES,))), unbiased


class InceptionV3(nn.Module):
    """Maps images `[batch, 299, 299, 3]` in [-1, 1] to features and class scores.

    To features it has 21,785,568 parameters, to classes 23,850,960. It only infers, by statistics that are never updated.

    Returns:
        "pool3": features `[batch, 2048]`, >= 0, what FID, KID and precision and recall compare.
        "logits": `[batch, 1008]`.
        "logits_unbiased": the same without the last layer's bias: what the Inception score has always been computed from.
    """

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> dict[str, Array]:
        del train  # no layer here behaves differently
        x = Unit(32, (3, 3), stride=2, same=False, name="Conv2d_1a_3x3")(x)
        x = Unit(32, (3, 3), same=False, name="Conv2d_2a_3x3")(x)
        x = Unit(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = Unit(80, name="Conv2d_3b_1x1")(_largest(x))
        x = Unit(192, (3, 3), same=False, name="Conv2d_4a_3x3")(x)
        x = _largest(x)
        x = MixedA(32, name="Mixed_5b")(x)
        x = MixedA(64, name="Mixed_5c")(x)
        x = MixedA(64, name="Mixed_5d")(x)
        x = MixedB(name="Mixed_6a")(x)
        x = MixedC(128, name="Mixed_6b")(x)
        x = MixedC(160, name="Mixed_6c")(x)
        x = MixedC(160, name="Mixed_6d")(x)
        x = MixedC(192, name="Mixed_6e")(x)
        x = MixedD(name="Mixed_7a")(x)
        x = MixedE(name="Mixed_7b")(x)
        x = MixedE(largest=True, name="Mixed_7c")(x)
        pool3 = jnp.mean(x, (1, 2))
        logits, logits_unbiased = Classes(name="fc")(pool3)
        return {"pool3": pool3, "logits": logits, "logits_unbiased": logits_unbiased}


def _chain(x, name, *units):
    """Units of (features, height, width) one after the other, numbered from 1."""
    for number, (features, *size) in enumerate(units, 1):
        x = Unit(features, tuple(size), name=f"{name}_{number}")(x)
    return x


def _cross(x, name):
    return [Unit(384, size, name=name + side)(x) for side, size in (("a", (1, 3)), ("b", (3, 1)))]


def _halve(features, name):
    return Unit(features, (3, 3), stride=2, same=False, name=name)


def _average(x):
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _largest(x):
    return nn.max_pool(x, (3, 3), (2, 2))
