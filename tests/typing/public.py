"""Types of the public interface, for type checkers; never imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import vgsim
from vgsim import theory
from vgsim.typing import Event, Phase

if TYPE_CHECKING:
    from typing_extensions import assert_type

Floats = NDArray[np.float64]


def samples(s: vgsim.Samples, d: vgsim.DepthCurve, profile: vgsim.LayerProfile) -> None:
    assert_type(s.gradient, Floats)
    assert_type(s.dead, NDArray[np.bool_])
    assert_type(s.layers, NDArray[np.int64])
    assert_type(s.log10_ratio, Floats)
    assert_type(s.quantile(0.5), float)
    assert_type(s.quantile(np.float64(0.5)), float)
    assert_type(s.quantile([0.05, 0.5]), Floats)
    assert_type(s.quantile(np.array([0.05, 0.5]), layer=3), Floats)
    assert_type(s.cdf(-6), float)
    assert_type(s.cdf((-6, -3)), Floats)
    assert_type(s.quantile_interval(0.5).low, float)
    assert_type(s.quantile_interval([0.5]).low, Floats)
    assert_type(s.mean_interval().high, float)
    assert_type(s.lognormal_fit().skewness.estimate, float)
    assert_type(s.probability("vanishing").estimate, float)
    assert_type(s.probability("underflow", dtype="float16"), vgsim.Probability)
    assert_type(s.probability("overflow", dtype=np.float32, method="exact").events, int)
    assert_type(d.probability("dead").low, Floats)
    assert_type(d.critical_depth().estimate, float)
    assert_type(d.depth_scale().slope.estimate, float)
    assert_type(d.depths, NDArray[np.int64])
    assert_type(profile.mean().estimate, Floats)
    assert_type(s + s, vgsim.Samples)
    event: Event
    for event in ("vanishing", "exploding"):
        s.probability(event)


def networks() -> None:
    net = vgsim.MLP(10, [4, 4], activation="relu", init="he_normal", norm="layer")
    assert_type(net.activation, vgsim.Activation)
    assert_type(net.init, vgsim.Initializer)
    assert_type(net.with_depth(20), vgsim.MLP)
    assert_type(vgsim.sweep(vgsim.RNN, steps=[1, 2], width=8), list[vgsim.RNN])
    vgsim.Initializer("student_t", df=3.0, mode="fan_avg")
    vgsim.Activation("custom", function=np.sin, derivative=np.cos)
    vgsim.Sequential(8, [vgsim.Linear(), "tanh", [vgsim.Norm("rms"), vgsim.Dropout(0.1)]] * 3)
    vgsim.MLP(10, 8, residual=vgsim.Residual(2, style="pre", branch="1/sqrt(blocks)"))


def runs(net: vgsim.GRU) -> None:
    assert_type(vgsim.simulate(net, 10, inputs="zeros", loss="mse"), vgsim.Samples)
    vgsim.simulate(net, 10, record=("gradient", "activation"), dtype=np.float64, engine="dense")
    vgsim.simulate(net, 10, record=["saturation"], dtype="float64")
    assert_type(vgsim.lyapunov(net, 10).exponents().estimate, Floats)
    assert_type(vgsim.depth_curve(net, [1, 2], 10), vgsim.DepthCurve)
    vgsim.Samples.from_norms([[1.0]], [1.0], saturation=None)


def trainings(training: vgsim.Training) -> None:
    assert_type(training.loss, Floats)
    assert_type(training.learning_rate, float | None)
    assert_type(training.probability("learned", step=10), vgsim.Probability)
    assert_type(training.time_to_loss(0.5), vgsim.TimeToLoss)
    assert_type(training.rank_correlation(outcome="time").estimate, float)
    assert_type(training.quantiles("movement", 0.5, layer=1), Floats)
    assert_type(training[:3] + training[3:], vgsim.Training)
    assert_type(training.plot("ratio", steps=(0, 10)), vgsim.plotting.Artists)


def studies(study: vgsim.Study) -> None:
    assert_type(vgsim.load("a.npz", "samples"), vgsim.Samples)
    assert_type(vgsim.load("a.npz", kind="study"), vgsim.Study)
    assert_type(vgsim.load("a.npz", "training"), vgsim.Training)
    assert_type(vgsim.load("a.npz", "training_study"), vgsim.TrainingStudy)
    assert_type(
        vgsim.load("a.npz"), vgsim.Samples | vgsim.Study | vgsim.Training | vgsim.TrainingStudy
    )
    assert_type(study[0], vgsim.Result)
    assert_type(study[1:], vgsim.Study)
    assert_type(study[0].quantile(0.5), float)
    assert_type(study[0].cdf([0.5], layer=0), Floats)
    assert_type(study.provenance, dict[str, str])
    vgsim.collect([vgsim.MLP(1, 8)], stop=vgsim.Precision(0.1, event="dead"), store="a.sqlite")


def laws(law: theory.ProductLaw) -> None:
    assert_type(law.cdf(0.0), float)
    assert_type(law.sf_log10(np.arange(3.0)), Floats)
    assert_type(law.quantile([0.1]), Floats)
    assert_type(law.dead_probability, float)
    assert_type(theory.critical_gain("tanh"), theory.CriticalGain)
    assert_type(theory.critical_line("tanh", [0.0, 0.1]).gain, Floats)
    assert_type(theory.mean_field(vgsim.MLP(1, 8)).phase, Phase)


def refused(s: vgsim.Samples, net: vgsim.MLP, values: dict[str, Any]) -> None:
    """Every line is an error, which both checkers must report."""
    s.probability("vanished")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    vgsim.MLP(1, 8, activation="rleu")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    vgsim.simulate(net, 1, record=["gradeint"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    vgsim.MLP(1, 8, norm="bacth")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    vgsim.load("a.npz", "sample")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
