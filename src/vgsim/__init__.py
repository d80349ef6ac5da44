"""vgsim: the probability distribution of vanishing and exploding gradients in deep networks.

>>> import vgsim
>>> net = vgsim.MLP(depth=100, width=64, activation="tanh")
>>> s = vgsim.simulate(net, 2000, seed=0)
>>> 0 <= s.probability("vanishing", threshold=1e-2).estimate <= 1
True
"""

from importlib.metadata import version as _version

__version__ = _version("vgsim")

from vgsim import theory
from vgsim._activations import Activation
from vgsim._collect import collect, iter_collect
from vgsim._cures import ClipNorm, ClipValue, Highway, Residual
from vgsim._depth_curve import DepthCurve, depth_curve
from vgsim._depth_scale import DepthScale
from vgsim._estimate import Estimate
from vgsim._evaluate import Evaluation, evaluate
from vgsim._files import load
from vgsim._fits import LogNormalFit
from vgsim._info import show_config
from vgsim._initializers import Initializer
from vgsim._lyapunov import Lyapunov, lyapunov
from vgsim._network import MLP, RNN
from vgsim._precision import Precision
from vgsim._profile import LayerProfile
from vgsim._replay import Replay, replay
from vgsim._result import Result
from vgsim._samples import Samples
from vgsim._simulate import simulate
from vgsim._stats import Probability
from vgsim._study import Study
from vgsim._sweep import sweep

__all__ = [
    "MLP",
    "RNN",
    "Activation",
    "ClipNorm",
    "ClipValue",
    "DepthCurve",
    "DepthScale",
    "Estimate",
    "Evaluation",
    "Highway",
    "Initializer",
    "LayerProfile",
    "LogNormalFit",
    "Lyapunov",
    "Precision",
    "Probability",
    "Replay",
    "Residual",
    "Result",
    "Samples",
    "Study",
    "__version__",
    "collect",
    "depth_curve",
    "evaluate",
    "iter_collect",
    "load",
    "lyapunov",
    "replay",
    "show_config",
    "simulate",
    "sweep",
    "theory",
]
