"""Jozefowicz et al. 2015: the bias of the forget gate."""

import math
from typing import Any

from comparison import Figure, Interval, Numbers, Paper, legend, main, mean, number, panels

import vgsim
from vgsim import plotting, theory

STEPS, WIDTH = 100, 64
PAPER = Paper(
    key="jozefowicz_2015",
    title="An empirical exploration of recurrent network architectures",
    reference="R. Jozefowicz, W. Zaremba and I. Sutskever, ICML 2015",
    setting=f"LSTMs of {STEPS} steps and {WIDTH} units: with weights close to 0 and no drive, "
    "where the forget gate is σ(b), and with Glorot's weights and a drive of standard "
    "deviation 0.5.",
    remark="Small weights and no bias lose a factor of 2 per step, as the paper says; for other "
    "biases its argument gives σ(b): with a bias of 1 still a loss of 1.37 per step. With Glorot's "
    "weights and a drive, of which the paper does not speak, the gradient also passes through the "
    "gates and the hidden state, and less is lost.",
    caption="Quantiles (5 to 95 %) of R along the steps, for forget biases 0, 1 and 2, Glorot's "
    "weights.",
)


def lstm(bias: float, small: bool) -> vgsim.LSTM:
    """Return an LSTM with weights close to 0 or Glorot's."""
    fields: dict[str, Any] = {"gain": 1e-9, "input_std": 0.0} if small else {}
    return vgsim.LSTM(STEPS, WIDTH, forget_bias=bias, **fields)


def factor(net: vgsim.LSTM, size: int) -> Interval:
    """Return the factor of ‖G‖ per step, exp of the mean of ln."""
    depth = STEPS - 1  # the last step turns the gradient of h into that of c
    samples = vgsim.simulate(net, size, layers=[0, depth])
    r = samples.log10_ratio
    found, low, high = (10 ** (m / depth) for m in mean(r[:, 0] - r[:, 1]))
    return found, low, high


def numbers(quick: bool) -> Numbers:
    size = 50 if quick else 2000
    for bias in (0.0, 1.0, 2.0):
        net = lstm(bias, small=True)
        gate = 1 / (1 + math.exp(-bias))
        what = f"weights close to 0, forget bias {bias:g}: factor of ‖G‖ per step"
        where = "factor of ½ per time step" if not bias else "σ(b), by the same argument"
        exact = math.sqrt(theory.recurrent_rate(net))
        yield number(what, where, gate, factor(net, size), accuracy=1e-6, exact=exact)
    for bias in (0.0, 1.0, 2.0):
        gate = 1 / (1 + math.exp(-bias))
        what = f"Glorot's weights, drive 0.5, forget bias {bias:g}: factor of ‖G‖ per step"
        found = factor(lstm(bias, small=False), size)
        yield number(what, "σ(b), of weights close to 0", gate, found, relation="~")


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    steps = list(range(0, STEPS + 1, 10))
    for bias in (0.0, 1.0, 2.0):
        samples = vgsim.simulate(lstm(bias, small=False), 50 if quick else 1000, layers=steps)
        plotting.quantiles(
            steps, list(samples.log10_ratio.T), label=f"bias {bias:g}", xlabel="step", ax=ax
        )
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
