"""Claims on learning: what a vanishing or exploding gradient does to training."""

from functools import partial
from typing import Any

import numpy as np
from scipy import stats

import vgsim
from claims_measured.claim import MOSTLY, RARELY, Figure, Found, topic
from claims_measured.measurement import (
    LEVEL,
    SEED,
    Measurement,
    case,
    difference,
    joined,
    median_of,
    series,
)
from claims_measured.trained import (
    EVERY,
    SHARE,
    STEPS,
    WIDTH,
    by_depth,
    by_step,
    chance,
    digits,
    learned,
    stack,
    trained,
)

claim = topic("Learning")
PLAIN = (2, 5, 10, 20)  # depths of the figures of plain sigmoid networks
PRETRAINED = (4, 6)  # layers
RNN_STEPS = 20
EVENTS = (("stuck, sigmoid", "stuck"), ("learned, sigmoid", "learned"))
FAR = (None, -2.0)  # decades: the first matrix moves by a hundredth of the last


def sigmoid(depth: int) -> vgsim.Sequential:
    """Return a plain sigmoid network."""
    return stack(depth, "sigmoid")


def share(met: np.ndarray) -> vgsim.Estimate:
    """Return the probability of an event, with Wilson's interval."""
    found = stats.binomtest(int(met.sum()), met.size)
    low, high = found.proportion_ci(LEVEL, "wilson")
    return vgsim.Estimate(found.statistic, low, high, LEVEL, "wilson")


@claim(
    "Slow convergence",
    "The early layers of a deep network get small updates, so its training is slow.",
    "The number is the probability that a network needs more than twice the steps of the median "
    "network of two layers of the same activation to bring the loss below 0.9 of its baseline. It "
    "is {0} for sigmoid networks of five layers. Small updates are not the only cause: the "
    "gradient of ReLU networks with He's initialisation does not vanish in 20 layers, and still "
    "{3} of them are slow, while tanh networks of 20 layers are nearly as fast as those of two "
    "({2}).",
)
def slow(m: Measurement) -> Found:
    cases = []
    lines: list[dict[str, Any]] = []
    for name, phi, depth, typical in (
        ("sigmoid, 5 layers", "sigmoid", 5, True),
        ("sigmoid, 10 layers", "sigmoid", 10, True),
        ("tanh, 20 layers", "tanh", 20, False),
        ("ReLU, He, 20 layers", "relu", 20, False),
    ):
        shallow, deep = (trained(m, stack(layers, phi)) for layers in (2, depth))
        level = 0.9 * shallow.baseline
        limit = 2 * int(shallow.time_to_loss(level).quantile(0.5).estimate)
        p = deep.time_to_loss(level, confidence_level=LEVEL).probability(limit)
        slower = vgsim.Estimate(1 - p.estimate, 1 - p.high, 1 - p.low, LEVEL, p.method)
        cases.append(case(name, f"P(more than {limit} steps)", slower, MOSTLY, typical))
        label = f"{name.partition(',')[0]}, 2 layers"
        if all(line["label"] != label for line in lines):
            lines.append(by_step(label, shallow, level))
        lines.append(by_step(name, deep, level))
    caption = "Probability that the loss has been below 0.9 of its baseline, by step."
    return cases, Figure("probability", caption, "step", "probability", lines)


@claim(
    "Stuck training",
    "A deep sigmoid network is stuck: its training never leaves the plateau at which it starts.",
    "All of them are, within the steps of this page: P(stuck) is {0} in ten layers and {1} in 20. "
    "With Adam, whose steps do not depend on the size of the gradient, {2} of the networks of ten "
    "layers are stuck, but they do not halve the loss either ({5}). Sigmoid networks of two layers "
    "leave the plateau, and so do tanh networks of 20.",
)
def stuck(m: Measurement) -> Found:
    cases = [
        chance("sigmoid, 10 layers", trained(m, sigmoid(10)), "stuck"),
        chance("sigmoid, 20 layers", trained(m, sigmoid(20)), "stuck"),
        chance("sigmoid, 10 layers, Adam", trained(m, sigmoid(10), "adam"), "stuck", typical=False),
        chance("sigmoid, 2 layers", trained(m, sigmoid(2)), "stuck", typical=False),
        chance("tanh, 20 layers", trained(m, stack(20, "tanh")), "stuck", typical=False),
        chance(
            "sigmoid, 10 layers, Adam",
            trained(m, sigmoid(10), "adam"),
            "learned",
            RARELY,
            typical=False,
        ),
    ]
    lines = [by_depth(m, label, sigmoid, event, PLAIN) for label, event in EVENTS]
    lines.append(by_depth(m, "stuck, tanh", lambda depth: stack(depth, "tanh"), "stuck", (2, 20)))
    caption = "P(stuck) and P(learned) of sigmoid networks, and P(stuck) of tanh networks."
    return cases, Figure("probability", caption, "depth", "probability", lines)


@claim(
    "Early layers do not learn",
    "The early layers of a deep network hardly learn; only the last layers do.",
    "The number is the median difference, in decades, of the movement of the first matrix and of "
    "the last before the read-out, of networks that did not diverge. It is {0} in sigmoid "
    "networks of ten layers, a factor of about 10,000. In 20 layers the updates of the first "
    "matrix are below the rounding errors of float32, and it stays as it is to the bit in {5} of "
    "the networks. Where the gradient does not vanish, the first matrix moves more than the "
    "last. Adam makes all matrices of the sigmoid networks move alike ({4}), but these networks "
    "hardly learn (see stuck training): movement is not learning.",
)
def early(m: Measurement) -> Found:
    cases, lines = [], []
    for name, network, optimizer, typical in (
        ("sigmoid, 10 layers", sigmoid(10), "sgd", True),
        ("tanh, 20 layers", stack(20, "tanh"), "sgd", True),
        ("ReLU, He, 20 layers", stack(20, "relu"), "sgd", True),
        ("sigmoid, batch norm, 20 layers", stack(20, "sigmoid", norm="batch"), "sgd", False),
        ("sigmoid, 10 layers, Adam", sigmoid(10), "adam", False),
    ):
        movement = trained(m, network, optimizer).movement[:, -1, :-1]
        movement = movement[np.isfinite(movement[:, -1])]  # of those that did not diverge
        gap = median_of(movement[:, 0] - movement[:, -1])
        cases.append(case(name, "decades, first − last", gap, FAR, typical))
        found = joined([median_of(column) for column in movement.T])
        lines.append(series(name, np.linspace(0, 1, movement.shape[1]), found))
    still = trained(m, sigmoid(20)).movement[:, -1, 0] == -np.inf
    cases.append(
        case("sigmoid, 20 layers", "P(first matrix unchanged)", share(still), MOSTLY, False)
    )
    caption = f"Movement of the matrices of the hidden layers in {STEPS} steps (median), in decades"
    return cases, Figure(
        "curve", caption + ".", "position from first to last layer", "decades", lines
    )


@claim(
    "Explosion and clipping in training",
    "An exploding gradient makes the updates so large that the training diverges; clipping its "
    "norm prevents this.",
    "P(diverged) is {0} in deep ReLU networks and {3} in recurrent ones, which see the image in "
    "the first step only. If the norm of the gradient by all weights is clipped to 1, both are "
    "below the limit of 0.1 ({1} and {4}), but few networks learn in the same time ({2} and "
    "{5}): the weights are still too large.",
)
def clipping(m: Measurement) -> Found:
    cases, lines = [], []
    silent = np.zeros((len(digits()[0]), RNN_STEPS, WIDTH))
    silent[:, 0] = digits()[0]
    cell = vgsim.RNN(RNN_STEPS, WIDTH, activation="relu", init="he_normal", gain=1.5)
    clip = vgsim.ClipNorm(1.0)
    n = m.count(SHARE)
    m.networks += 2 * n
    free, clipped = (learned(cell, n, (silent, digits()[1]), clip=how) for how in (None, clip))
    deep = stack(20, "relu", gain=2)
    for name, without, within in (
        ("ReLU, 2 times He's, 20 layers", trained(m, deep), trained(m, deep, clip=clip)),
        (f"RNN, ReLU, 1.5 times He's, {RNN_STEPS} steps", free, clipped),
    ):
        cases.append(chance(name, without, "diverged"))
        cases.append(chance(f"{name}, clipped", within, "diverged", RARELY))
        cases.append(chance(f"{name}, clipped", within, "learned", MOSTLY, typical=False))
        short = name.partition(",")[0]
        for label, training in ((short, without), (f"{short}, clipped", within)):
            found = joined([median_of(column) for column in training.loss.T])
            lines.append(series(label, training.steps, found))
    caption = f"Median loss. Without clipping it is not finite from step {EVERY} on."
    return cases, Figure("curve", caption, "step", "loss", lines, {"log_y": True})


@claim(
    "Normalisation in training",
    "Batch and layer normalisation make deep networks trainable.",
    "Batch normalisation does: P(learned) is {0} for sigmoid and {2} for ReLU networks of 20 "
    "layers. Layer normalisation does not, in the same number of steps: sigmoid networks stay on "
    "the plateau ({1}), since their gradient still vanishes, and ReLU networks with it learn "
    "more slowly ({3}) than without ({4}).",
)
def normalisation(m: Measurement) -> Found:
    def batch(depth: int) -> vgsim.Sequential:
        return stack(depth, "sigmoid", norm="batch")

    def layer(depth: int) -> vgsim.Sequential:
        return stack(depth, "sigmoid", norm="layer")

    relu = {norm: stack(20, "relu", norm=norm) for norm in ("batch", "layer")}
    cases = [
        chance("sigmoid, batch norm, 20 layers", trained(m, batch(20)), "learned"),
        chance("sigmoid, layer norm, 20 layers", trained(m, layer(20)), "learned"),
        chance("ReLU, batch norm, 20 layers", trained(m, relu["batch"]), "learned"),
        chance("ReLU, layer norm, 20 layers", trained(m, relu["layer"]), "learned"),
        chance("ReLU, none, 20 layers", trained(m, stack(20, "relu")), "learned", RARELY, False),
    ]
    lines = [by_depth(m, "batch norm", batch), by_depth(m, "layer norm", layer)]
    lines.append(by_depth(m, "none", sigmoid, depths=PLAIN))
    return cases, Figure(
        "probability", "P(learned) of sigmoid networks.", "depth", "P(learned)", lines
    )


@claim(
    "Skip connections in training",
    "Skip connections make deep networks trainable.",
    "In sigmoid networks they do: P(learned) is {0}, and 0 without them (see the figure). In "
    "ReLU networks with He's initialisation the sum grows with every block, and the training "
    "diverges at this step size ({1} learn); with branches scaled by 1/√blocks {2} learn.",
)
def skips(m: Measurement) -> Found:
    def every_two(depth: int) -> vgsim.Sequential:
        return stack(depth, "sigmoid", residual=vgsim.Residual(2))

    scaled = vgsim.Residual(2, style="pre", branch="1/sqrt(blocks)")
    cases = [
        chance("sigmoid, 20 layers", trained(m, every_two(20)), "learned"),
        chance(
            "ReLU, 20 layers", trained(m, stack(20, "relu", residual=vgsim.Residual(2))), "learned"
        ),
        chance(
            "ReLU, scaled by 1/√blocks, 20 layers",
            trained(m, stack(20, "relu", residual=scaled)),
            "learned",
            typical=False,
        ),
    ]
    lines = [by_depth(m, "skip connections", every_two), by_depth(m, "none", sigmoid, depths=PLAIN)]
    return cases, Figure(
        "probability", "P(learned) of sigmoid networks.", "depth", "P(learned)", lines
    )


@claim(
    "Initialisation in training",
    "With Xavier's initialisation (tanh) and He's (ReLU) deep networks can be trained that cannot "
    "be trained from small normal weights.",
    "The number is the difference of P(learned). Weights of standard deviation 0.01 leave "
    "networks of 20 layers stuck, tanh and ReLU alike. He's initialisation of ReLU is better than "
    "Xavier's by {2}, but some of its networks do not halve the loss either.",
)
def initialisation(m: Measurement) -> Found:
    small = vgsim.Initializer("normal", std=0.01)
    tanh, relu = (trained(m, stack(20, phi)) for phi in ("tanh", "relu"))
    tanh_small, relu_small = (trained(m, stack(20, phi, init=small)) for phi in ("tanh", "relu"))
    glorot = trained(m, stack(20, "relu", init="glorot_normal"))
    cases, quantity = [], "P(learned), difference"
    for name, a, b, typical in (
        ("tanh, Xavier − std 0.01, 20 layers", tanh, tanh_small, True),
        ("ReLU, He − std 0.01, 20 layers", relu, relu_small, True),
        ("ReLU, He − Xavier, 20 layers", relu, glorot, False),
    ):
        p, q = (each.probability("learned", confidence_level=LEVEL) for each in (a, b))
        cases.append(case(name, quantity, difference(p, q), (0.5, None), typical))
    lines = [
        by_step(label, training)
        for label, training in (
            ("tanh, Xavier", tanh),
            ("ReLU, He", relu),
            ("ReLU, Xavier", glorot),
            ("tanh, std 0.01", tanh_small),
            ("ReLU, std 0.01", relu_small),
        )
    ]
    caption = "P(learned) by step of networks of 20 layers."
    return cases, Figure("probability", caption, "step", "P(learned)", lines)


@claim(
    "Layerwise pre-training",
    "Greedy layerwise pre-training makes deep sigmoid networks trainable.",
    "By some layers. Stacks of restricted Boltzmann machines (`vgsim.pretrain_rbm`, 10 passes "
    "over the images, whose pixels are from 0 to 1) start at a larger gradient. Of four layers, "
    "{0} learn, and from drawn weights {1}; of six layers {2} learn in the same number of steps. "
    "The examples' deep_belief.py measures more passes and depths. All are trained with momentum "
    "0.9.",
)
def pretraining(m: Measurement) -> Found:
    from joblib import Parallel, delayed
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, n, widths = X / 16, m.count(SHARE), [64, *[WIDTH] * max(PRETRAINED)]
    one = delayed(vgsim.pretrain_rbm)
    stacks = Parallel(n_jobs=-1)(one(widths, X, n_iter=10, seed=SEED + i) for i in range(n))
    cases, lines = [], []
    for depth in PRETRAINED:
        hidden = [vgsim.Linear(WIDTH, init="glorot_normal"), "sigmoid"] * depth
        network = vgsim.Sequential(64, [*hidden, vgsim.Linear(10)])
        own = partial(initial, stacks, network)
        for name, start, claimed in (("pre-trained", own, MOSTLY), ("drawn", None, RARELY)):
            found = learned(network, n, (X, y), optimizer="momentum", initial=start)
            m.networks += n
            typical = start is not None
            cases.append(chance(f"{depth} layers, {name}", found, "learned", claimed, typical))
            lines.append(by_step(f"{depth} layers, {name}", found))
    return cases, Figure("probability", "P(learned) by step.", "step", "P(learned)", lines)


def initial(stacks: Any, network: vgsim.Sequential, index: int) -> Any:
    """Return the pre-trained parameters of a network."""
    return stacks[index].for_network(network)


@claim(
    "Gradient at initialisation and learning",
    "The gradient at initialisation tells which networks will learn.",
    "The number is Spearman's rank correlation, over the networks of one kind, of R at the input "
    "before training and the loss after it; the claim holds up to −0.3. It is {0} for tanh, {1} "
    "for ReLU and {2} for sigmoid networks: no interval excludes 0. R tells which kinds of "
    "networks learn (see stuck training); among the networks of one kind it differs by some "
    "tenths of a decade only, and no effect of that on learning is seen with 80 networks.",
)
def link(m: Measurement) -> Found:
    cases = []
    for name, phi, depth, typical in (
        ("tanh, 20 layers", "tanh", 20, True),
        ("ReLU, He, 20 layers", "relu", 20, True),
        ("sigmoid, 5 layers", "sigmoid", 5, True),
        ("sigmoid, 10 layers", "sigmoid", 10, False),
    ):
        rho = trained(m, stack(depth, phi)).rank_correlation(confidence_level=LEVEL)
        cases.append(case(name, "rank correlation", rho, (None, -0.3), typical))
    lines = []
    for name, phi, depths in (
        ("sigmoid", "sigmoid", (2, 5, 10)),
        ("tanh", "tanh", (2, 20)),
        ("ReLU, He", "relu", (2, 20)),
    ):
        found = [
            trained(m, stack(depth, phi)).rank_correlation(confidence_level=LEVEL)
            for depth in depths
        ]
        lines.append(series(name, depths, joined(found)))
    caption = "Rank correlation of R at the input before training and the loss after it."
    return cases, Figure("curve", caption, "depth", "rank correlation", lines)
