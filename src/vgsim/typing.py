"""The names that arguments take, as types for annotations, checkers and editors.

Each is a ``Literal`` of strings. A variable that holds such a name can be annotated with it:

>>> import vgsim
>>> from vgsim.typing import Event
>>> def share(samples: vgsim.Samples, event: Event) -> float:
...     return samples.probability(event).estimate
>>> share(vgsim.simulate(vgsim.MLP(50, 32, activation="sigmoid"), 1000), "vanishing")
1.0

The tables from which the package takes these names at run time are made of these types, or are
compared with them by the tests.
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "ActivationName",
    "Contents",
    "CountedEvent",
    "CurvePlot",
    "DType",
    "Engine",
    "Event",
    "Format",
    "InitializerName",
    "LawName",
    "Loss",
    "Method",
    "Mode",
    "NormKind",
    "NumberFormat",
    "OptimizerName",
    "Phase",
    "RangeEvent",
    "Record",
    "RelativeEvent",
    "ResidualStyle",
    "SamplesPlot",
    "TrainingEvent",
    "TrainingLoss",
    "TrainingOutcome",
    "TrainingPlot",
    "TrainingRecord",
]

RelativeEvent = Literal["vanishing", "exploding", "healthy"]
RangeEvent = Literal["underflow", "overflow"]
CountedEvent = Literal[RelativeEvent, "dead"]
Event = Literal[RelativeEvent, "dead", RangeEvent]
Method = Literal["wilson", "exact", "anytime"]
Format = Literal["text", "markdown", "latex", "csv", "html"]
SamplesPlot = Literal["histogram", "survival", "qq", "ridge", "profile"]
CurvePlot = Literal["probability", "quantiles", "ridge"]
TrainingLoss = Literal["cross_entropy", "mse"]
OptimizerName = Literal["sgd", "momentum", "adam"]
TrainingEvent = Literal["learned", "stuck", "diverged"]
TrainingOutcome = Literal["loss", "time"]
TrainingPlot = Literal["loss", "movement", "ratio", "learned", "survival"]
TrainingRecord = Literal[
    "loss",
    "accuracy",
    "gradient",
    "activation",
    "weight_gradient",
    "update_ratio",
    "movement",
    "parameters",
]
Contents = Literal["samples", "study", "training", "training_study"]
Engine = Literal["auto", "scalar", "matrix-free", "dense"]
DType = Literal["float32", "float64"]
NumberFormat = Literal["float16", "bfloat16", "float32"]
Loss = Literal["linear", "mse", "cross_entropy"]
NormKind = Literal["batch", "layer", "rms"]
ResidualStyle = Literal["activated", "linear", "post", "pre"]
Phase = Literal["ordered", "critical", "chaotic"]
Mode = Literal["fan_in", "fan_avg", "fan_out"]
Record = Literal[
    "gradient",
    "activation",
    "saturation",
    "weight_gradient",
    "update_ratio",
    "clipped",
    "activation_correlation",
    "gradient_correlation",
]
ActivationName = Literal[
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "swish",
    "softplus",
    "sigmoid",
    "tanh",
    "hard_tanh",
    "erf",
    "softsign",
    "mish",
    "relu6",
    "hard_sigmoid",
    "hard_swish",
    "gelu_tanh",
    "sine",
]
InitializerName = Literal[  # those that need no parameters
    "lecun_normal",
    "lecun_uniform",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "truncated_normal",
    "laplace",
    "rademacher",
    "diagonal",
    "torch_default",
    "torch_recurrent",
    "orthogonal",
    "identity",
    "siren",
]
LawName = Literal[InitializerName, "normal", "uniform", "student_t", "sparse", "custom"]
