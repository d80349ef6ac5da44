"""vgsim: the probability distribution of vanishing and exploding gradients in deep networks.

>>> import vgsim
>>> net = vgsim.MLP(depth=100, width=64, activation="tanh")
>>> s = vgsim.simulate(net, 2000, seed=0)
>>> 0 <= s.probability("vanishing", threshold=1e-2).estimate <= 1
True

Networks
    MLP             multilayer perceptron, with norms, skip connections, gates and clipping
    RNN, LSTM, GRU  recurrent networks, whose steps take the place of the layers
    Sequential      a list of any layers
    sweep           the networks of all combinations of listed fields
    from_torch      the network with the architecture of a PyTorch module
    JaxNetwork      a network as functions in JAX, from its method to_jax

Parts of networks
    Activation, Initializer     an activation, the law of the weights; also custom ones
    Residual, Highway           skip connections and gates of an MLP
    ClipNorm, ClipValue         gradient clipping
    Linear, Norm, Dropout, Attention, Skip, Gate
                                layers and blocks of a Sequential

Simulation
    simulate        forward and backward passes of many random networks: Samples
    depth_curve     simulation of one network at several depths: DepthCurve
    lyapunov        Lyapunov exponents: Lyapunov
    torch_samples   samples of any PyTorch module, by autograd: Samples
    replay          one sample with its weights and inputs: Replay
    evaluate        one network with given weights, in NumPy: Evaluation
    torch_parameters            weights and biases of a PyTorch module, for evaluate
    TorchModule, Measured       networks that are known by their gradients only
    train           many random networks trained side by side, in JAX: Training
    pretrain_rbm    layerwise pre-training of deep belief networks: Pretraining
    show_config     the compiled kernels, the threads and the versions

Results
    Samples         norms of gradients by sample and layer; probabilities, quantiles, fits
    LayerProfile    the law of the gradient against the layer
    DepthCurve      the law of the gradient against the depth; critical depth
    Probability, Estimate       a number with its confidence interval
    DepthScale, LogNormalFit    fits to curves and to samples
    Training        losses, gradients and weights of networks that were trained, by step
    TimeToLoss      the law of the step at which the loss falls below a level

Studies
    collect         many networks, sampled until a stop rule is met: Study
    iter_collect    the same, with the results so far
    Precision       a stop rule
    Study, Result   the counts of many networks, and of one
    TrainingStudy   the trainings of many networks and settings
    load            read samples, studies and trainings from files and stores

Modules
    theory          theory without simulation: mean field, critical gains, exact laws
    plotting        figures with matplotlib
    typing          the names that arguments take, as types

`help` explains each of them, as in ``help(vgsim.simulate)``.
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
from vgsim._networks.jax.network import JaxNetwork
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
from vgsim._results.time_to_loss import TimeToLoss
from vgsim._results.training import Training
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
from vgsim._studies.training_study import TrainingStudy
from vgsim._training.rbm import Pretraining, pretrain_rbm
from vgsim._training.train import train
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
    "JaxNetwork",
    "LayerProfile",
    "Linear",
    "LogNormalFit",
    "Lyapunov",
    "Measured",
    "Norm",
    "Precision",
    "Pretraining",
    "Probability",
    "Replay",
    "Residual",
    "Result",
    "Samples",
    "Sequential",
    "Skip",
    "Study",
    "TimeToLoss",
    "TorchModule",
    "Training",
    "TrainingStudy",
    "__version__",
    "collect",
    "depth_curve",
    "evaluate",
    "from_torch",
    "iter_collect",
    "load",
    "lyapunov",
    "plotting",
    "pretrain_rbm",
    "replay",
    "show_config",
    "simulate",
    "sweep",
    "theory",
    "torch_parameters",
    "torch_samples",
    "train",
]

for _name in __all__:  # public classes and functions belong to this module, wherever they are
    if callable(_public := globals()[_name]):
        _public.__module__ = __name__


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "typing"])
