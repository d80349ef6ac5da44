"""Claims on learning: what a vanishing or exploding gradient does to training."""

import numpy as np

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
FAR = (None, -2.0)  # decades: the first matrix moves by a hundredth of the last


def sigmoid(depth: int) -> vgsim.Sequential:
    """Return a plain sigmoid network."""
    return stack(depth, "sigmoid")


@claim(
    "Slow convergence",
    "With small gradients in the early layers the training of a deep network is slow.",
    "The number is the probability that a network needs more than three times the steps of the "
    "median network of two layers of the same activation to halve the loss. It is {0} for sigmoid "
    "networks of five layers. TODO",
)
def slow(m: Measurement) -> Found:
    cases, lines = [], []
    for name, phi, depth, typical in (
        ("sigmoid, 5 layers", "sigmoid", 5, True),
        ("tanh, 20 layers", "tanh", 20, False),
        ("ReLU, He, 20 layers", "relu", 20, False),
    ):
        shallow, deep = (trained(m, stack(layers, phi)) for layers in (2, depth))
        limit = min(STEPS - 1, round(3 * float(shallow.time_to_loss().quantile(0.5).estimate)))
        p = deep.time_to_loss(confidence_level=LEVEL).probability(limit)
        slower = vgsim.Estimate(1 - p.estimate, 1 - p.high, 1 - p.low, LEVEL, p.method)
        cases.append(case(name, f"P(more than {limit} steps)", slower, MOSTLY, typical))
        short = name.partition(",")[0]
        lines += [by_step(f"{short}, 2 layers", shallow), by_step(name, deep)]
    caption = "P(the loss is halved by a step)."
    return cases, Figure("probability", caption, "step", "probability", lines)


@claim(
    "Stuck training",
    "A deep sigmoid network is stuck: its training never leaves the plateau at which it starts.",
    "TODO {0}",
)
def stuck(m: Measurement) -> Found:
    cases = [
        chance("sigmoid, 10 layers", trained(m, sigmoid(10)), "stuck"),
        chance("sigmoid, 20 layers", trained(m, sigmoid(20)), "stuck"),
        chance("sigmoid, 10 layers, Adam", trained(m, sigmoid(10), "adam"), "stuck", typical=False),
        chance("sigmoid, 2 layers", trained(m, sigmoid(2)), "stuck", typical=False),
        chance("tanh, 20 layers", trained(m, stack(20, "tanh")), "stuck", typical=False),
    ]
    lines = [by_depth(m, label, sigmoid, event, PLAIN) for label, event in EVENTS]
    lines.append(by_depth(m, "stuck, tanh", lambda depth: stack(depth, "tanh"), "stuck", (2, 20)))
    caption = "P(stuck) and P(learned) of sigmoid networks, and P(stuck) of tanh networks."
    return cases, Figure("probability", caption, "depth", "probability", lines)


EVENTS = (("stuck, sigmoid", "stuck"), ("learned, sigmoid", "learned"))


@claim(
    "Early layers do not learn",
    "Where the gradient vanishes, only the last layers learn; the early layers stay as they were.",
    "The number is the median difference, in decades, of the movement ‖W − W(0)‖/‖W(0)‖ of the "
    "first matrix of the hidden layers and of the last. TODO {0}",
)
def early(m: Measurement) -> Found:
    cases, lines = [], []
    for name, phi, depth, optimizer, typical in (
        ("sigmoid, 10 layers", "sigmoid", 10, "sgd", True),
        ("tanh, 20 layers", "tanh", 20, "sgd", True),
        ("ReLU, He, 20 layers", "relu", 20, "sgd", True),
        ("sigmoid, 10 layers, Adam", "sigmoid", 10, "adam", False),
    ):
        movement = trained(m, stack(depth, phi), optimizer).movement[:, -1, :-1]
        gap = median_of(movement[:, 0] - movement[:, -1])
        cases.append(case(name, "decades, first − last", gap, FAR, typical))
        found = joined([median_of(column) for column in movement.T])
        lines.append(series(name, np.linspace(0, 1, depth), found))
    caption = f"Movement of the matrices of the hidden layers in {STEPS} steps (median), in decades"
    return cases, Figure(
        "curve", caption + ".", "position from first to last layer", "decades", lines
    )


@claim(
    "Explosion and clipping in training",
    "An exploding gradient makes the updates so large that the training diverges; clipping its "
    "norm prevents this.",
    "TODO {0}",
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
        lines += [by_step(short, without), by_step(f"{short}, clipped", within)]
    caption = "P(learned) by step, without clipping and with the norm of the gradient at most 1."
    return cases, Figure("probability", caption, "step", "P(learned)", lines)


RNN_STEPS = 20


@claim(
    "Normalisation in training",
    "Batch and layer normalisation make deep networks trainable.",
    "TODO {0}",
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
        chance("sigmoid, batch norm, 40 layers", trained(m, batch(40)), "learned", typical=False),
    ]
    lines = [by_depth(m, "batch norm", batch), by_depth(m, "layer norm", layer, depths=(10, 20))]
    lines.append(by_depth(m, "none", sigmoid, depths=PLAIN))
    return cases, Figure(
        "probability", "P(learned) of sigmoid networks.", "depth", "P(learned)", lines
    )


@claim(
    "Skip connections in training",
    "Skip connections make deep networks trainable.",
    "TODO {0}",
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
        chance("sigmoid, 40 layers", trained(m, every_two(40)), "learned", typical=False),
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
    "TODO {0}",
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
    "TODO {0}",
)
def pretraining(m: Measurement) -> Found:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, n, deepest = X / 16, m.count(SHARE), max(PRETRAINED)
    stacks = [
        vgsim.pretrain_rbm([64, *[WIDTH] * deepest], X, n_iter=20, batch_size=50, seed=SEED + i)
        for i in range(n)
    ]
    cases, lines = [], []
    for depth in PRETRAINED:
        hidden = [vgsim.Linear(WIDTH, init="glorot_normal"), "sigmoid"] * depth
        network = vgsim.Sequential(64, [*hidden, vgsim.Linear(10)])
        for name, initial in (
            ("pre-trained", lambda i, net=network: stacks[i].for_network(net)),
            ("drawn", None),
        ):
            found = learned(network, n, (X, y), optimizer="momentum", initial=initial)
            m.networks += n
            label = f"{name}, {depth} layers"
            if initial:
                cases.append(chance(f"sigmoid, {label}", found, "learned"))
            lines.append(by_step(label, found))
    return cases, Figure("probability", "P(learned) by step.", "step", "P(learned)", lines)


PRETRAINED = (3, 5)


@claim(
    "Gradient at initialisation and learning",
    "The gradient at initialisation tells which networks will learn.",
    "TODO {0}",
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
