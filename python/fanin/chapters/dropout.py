"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import MLP, layers, optim, plots
from fanin.chapters.story import Data, overfitting, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Lines, Listing, Table
from fanin.plots.style import picture
from fanin.random import Generator

KEEP = 0.5
ROWS, WRONG, WIDTH, EPOCHS = 600, 0.2, 256, 60
MODELS = 100  # masks, each a model of the ensemble
MASKS, DRAWS = 20_000, 1_000_000


# The lecture's listings: a mask in training, and how the two forms make up for it.
TRAIN = """p = {p:g} # probability of keeping a unit active. higher = less dropout

def train_step(X):
    # forward pass for example 3-layer neural network
    H1 = np.maximum(0, np.dot(W1, X) + b1)
    U1 = {mask} # first dropout mask
    H1 *= U1 # drop!
    H2 = np.maximum(0, np.dot(W2, H1) + b2)
    U2 = {mask2} # second dropout mask
    H2 *= U2 # drop!
    out = np.dot(W3, H2) + b3

def predict(X):
    H1 = np.maximum(0, np.dot(W1, X) + b1){scale}
    H2 = np.maximum(0, np.dot(W2, H1) + b2){scale}
    out = np.dot(W3, H2) + b3"""


def _listing(inverted: bool) -> str:
    """With a uniform mask, where the lecture has `randn`, and with H1 where predict had X."""
    masks = [f"np.random.rand(*H{i}.shape) < p" for i in (1, 2)]
    if inverted:
        masks = [f"({mask}) / p" for mask in masks]
    scale = "" if inverted else " * p # NOTE: scale the activations"
    return TRAIN.format(p=KEEP, mask=masks[0], mask2=masks[1], scale=scale)


def chapter(data: Data, seed: int) -> Chapter:
    """What dropout is, what it does to overfitting, and its two forms."""
    return tell(
        "Regularisation: dropout",
        """In each forward pass of training, **dropout** sets some units to 0 at random; the
        probability is a hyperparameter, 0.5 as a rule.""",
        picture(
            "dropout-thinning.png",
            "A small network, and the same with dropped units crossed out.",
            "A network, and what one mask leaves of it for one step. The mask is drawn by "
            "`fanin.layers.dropout_forward`.",
            lambda: plots.dropout_thinning(keep=KEEP, seed=seed),
        ),
        """Why should that help? Let a network tell cats by pointed ears, a long tail and
        fur. A Scottish Fold has folded ears, a Sphynx no fur: a network that insists on all
        three has overfitted. If units are missing at random, it learns to say: the ears are
        flat, but there are a long tail and fur, so it is a cat.""",
        *_on_data(data, seed),
        *_as_ensemble(data, seed),
        *_two_forms(seed),
        *_the_mask(seed),
    )


def _on_data(data: Data, seed: int) -> list[Block]:
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    nets: dict[str, dict[str, Any]] = {"all units": {}, f"dropout, keep {KEEP:g}": {"keep": KEEP}}
    return [
        Heading("With and without"),
        f"""Overfitting needs little data and some noise: {len(noisy.y)} rows of {data.name}, of
        which {WRONG:.0%} had their labels drawn at random, and two hidden layers of {WIDTH} units,
        {EPOCHS} epochs. A network that gets all of its training rows right has learned the
        wrong labels too.""",
        *overfitting(
            noisy,
            "dropout-curves.png",
            "Accuracy on test rows by epoch with and without dropout.",
            "Accuracy on test rows with right labels, epoch by epoch.",
            "network",
            {name: (data.net(WIDTH, WIDTH, seed=seed, **own), {}) for name, own in nets.items()},
            epochs=EPOCHS, batch_size=50, preprocess=data.preprocess,
        ),
    ]  # fmt: skip


def _as_ensemble(data: Data, seed: int) -> list[Block]:
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    net = noisy.net(WIDTH, WIDTH, seed=seed, keep=KEEP)
    noisy.train(net, epochs=EPOCHS, batch_size=min(50, len(noisy.y)), optimizer=optim.Adam())
    rng, y = Generator(seed, 8), data.y_test
    models = [_one_model(net, rng) for _ in range(MODELS)]
    probabilities = np.stack([model.predict_proba(data.X_test) for model in models])
    each = (probabilities.argmax(axis=2) == y).mean(axis=1)
    together = probabilities.mean(axis=0).argmax(axis=1)
    at_once = net.predict(data.X_test)
    rows = [
        ("one mask, the mean of all", percent(float(each.mean()))),
        ("one mask, the best of all", percent(float(each.max()))),
        (f"the mean of {MODELS} masks' probabilities", percent(float((together == y).mean()))),
        ("no mask, once: prediction", percent(float((at_once == y).mean()))),
    ]
    return [
        Heading("Dropout as an ensemble"),
        f"""Each mask is one model, and all of them share their parameters. Here are {MODELS} models
        of the network above, each one mask over its two hidden layers:""",
        Table(f"Accuracy on {len(y)} test rows", ("models", "accuracy"), rows),
        f"""Prediction with all units stands for the average of the models in a single pass: the two
        give the same class to {percent(float((at_once == together).mean()))} of the rows.""",
    ]


def _one_model(net: MLP, rng: Generator) -> MLP:
    """What one mask leaves of the network: units that are gone have no weights above them."""
    thinned = net.copy()
    for name in ("W2", "W3"):
        weights = thinned.params[name]
        kept, _ = layers.dropout_forward(np.ones(len(weights), weights.dtype), keep=KEEP, rng=rng)
        weights *= kept[:, None]
    return thinned


def _two_forms(seed: int) -> list[Block]:
    x = Generator(seed, 3).standard_normal((1, 64), dtype="float64")
    W = Generator(seed, 4).standard_normal((64, 8), dtype="float64") / 8
    hidden = layers.dense(x, W)
    many = np.repeat(hidden, MASKS, axis=0)
    inverted, _ = layers.dropout_forward(many, keep=KEEP, rng=Generator(seed, 5))
    vanilla = inverted * KEEP  # the same masks, not divided
    rows = [
        ("vanilla", "h · mask", f"{vanilla.mean():.4f}", "h · p", f"{KEEP * hidden.mean():.4f}"),
        ("inverted", "h · mask / p", f"{inverted.mean():.4f}", "h", f"{hidden.mean():.4f}"),
    ]
    return [
        Heading("Vanilla and inverted"),
        """At test time all units are there, more than in any step of training. *Vanilla*
        dropout makes up for it then, and multiplies each layer by p, the probability of keeping
        a unit. *Inverted* dropout divides by p in training already, and prediction stays as it
        is: that is what fanin does by default.""",
        "Vanilla:",
        Listing(_listing(inverted=False)),
        "Inverted:",
        Listing(_listing(inverted=True)),
        Table(
            f"Mean of 8 units over {MASKS:,} masks in training, and what prediction gives: the "
            "same in expectation, for both",
            ("form", "in training", "mean", "at test time", "mean"),
            rows,
        ),
    ]


def _the_mask(seed: int) -> list[Block]:
    normal = Generator(seed, 6).standard_normal(DRAWS)
    uniform = Generator(seed, 7).random(DRAWS)
    return [
        f"""A word on the lecture's listing: its `U1 = np.random.randn(*H1.shape) < p` draws
        *normal* deviates, of which at p = {KEEP:g} {np.mean(normal < KEEP):.0%} are below p, not
        {KEEP:.0%}. The mask that keeps a share p of the units is `np.random.rand(*H1.shape) < p`,
        a uniform one, and fanin's `keep=` means that.""",
        Lines(
            f"share of {DRAWS:,} draws below {KEEP:g}:  "
            f"randn {np.mean(normal < KEEP):.4f}   rand {np.mean(uniform < KEEP):.4f}"
        ),
    ]
