"""vgsim: the probability distribution of vanishing and exploding gradients in deep networks.

>>> import vgsim
>>> net = vgsim.MLP(depth=100, width=64, activation="tanh")
>>> s = vgsim.simulate(net, 2000, seed=0)
>>> 0 <= s.probability("vanishing", threshold=1e-2).estimate <= 1
True
"""

from vgsim import plotting, theory
from vgsim._engine.depth_curve import depth_curve
from vgsim._engine.lyapunov import Lyapunov, lyapunov
from vgsim._engine.run import show_config
from vgsim._engine.simulate import simulate
from vgsim._networks.activations import Activation
from vgsim._networks.blocks import Gate, Skip
from vgsim._networks.elements import Attention, Dropout, Linear, Norm
from vgsim._networks.gru import GRU
from vgsim._networks.initializers import Initializer
from vgsim._networks.lstm import LSTM
from vgsim._networks.mlp import MLP
from vgsim._networks.rnn import RNN
from vgsim._networks.sequential import Sequential
from vgsim._networks.sweep import sweep
from vgsim._networks.techniques import ClipNorm, ClipValue, Highway, Residual
from vgsim._networks.undescribed import Measured, TorchModule
from vgsim._results.curves import LayerProfile
from vgsim._results.depth_curve import DepthCurve
from vgsim._results.samples import Samples
from vgsim._statistics.binomial import Probability
from vgsim._statistics.depth_scale import DepthScale
from vgsim._statistics.estimate import Estimate
from vgsim._statistics.lognormal_fit import LogNormalFit
from vgsim._studies.collect import collect, iter_collect
from vgsim._studies.load import load
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.study import Study
from vgsim._studies.torch_samples import torch_samples
from vgsim._twin.evaluate import Evaluation, evaluate
from vgsim._twin.from_torch import from_torch, torch_parameters
from vgsim._twin.replay import Replay, replay
from vgsim._version import __version__

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "Activation",
    "Attention",
    "ClipNorm",
    "ClipValue",
    "DepthCurve",
    "DepthScale",
    "Dropout",
    "Estimate",
    "Evaluation",
    "Gate",
    "Highway",
    "Initializer",
    "LayerProfile",
    "Linear",
    "LogNormalFit",
    "Lyapunov",
    "Measured",
    "Norm",
    "Precision",
    "Probability",
    "Replay",
    "Residual",
    "Result",
    "Samples",
    "Sequential",
    "Skip",
    "Study",
    "TorchModule",
    "__version__",
    "collect",
    "depth_curve",
    "evaluate",
    "from_torch",
    "iter_collect",
    "load",
    "lyapunov",
    "plotting",
    "replay",
    "show_config",
    "simulate",
    "sweep",
    "theory",
    "torch_parameters",
    "torch_samples",
]
