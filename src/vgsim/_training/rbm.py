"""Deep belief networks: layerwise pre-training by restricted Boltzmann machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, checked_items, real_array, type_error, value_error
from vgsim._display import Record
from vgsim._domains import Number, checked_int
from vgsim._engine.settings import checked_seed
from vgsim._networks.activations import Activation
from vgsim._networks.description import Network, checked_network
from vgsim._networks.operations import Activate, Bias, Weights
from vgsim._networks.parameter_shapes import parameter_name, with_biases

__all__ = ["Pretraining", "pretrain_rbm"]

Array = NDArray[np.float64]

MOST = 2**31 - 1  # of widths, passes and batches
LEARNING_RATE = Number("a positive number", lambda rate: rate > 0)


@dataclass(frozen=True, eq=False, repr=False)
class Pretraining(Record):
    """The result of :func:`pretrain_rbm`: a stack of D sigmoid layers, trained without classes.

    Attributes
    ----------
    widths : tuple of int, (D + 1,)
        n_0 … n_D: the units of the data and of the D layers.
    parameters : dict of str to ndarray
        "0.weight" (n_1, n_0), "0.bias" (n_1,), "1.weight", …: the names of
        ``vgsim.MLP(D, widths, activation="sigmoid")``, as in :attr:`Replay.parameters`.
    pseudo_likelihood : ndarray, (D,)
        Of the machine of each layer after its training: the mean over its data v of an estimate of
        Σ_i ln P(v_i | all other v_j), natural logarithm. Larger is better. Only machines on the
        same data compare, such as the first layers of two runs.
    reconstruction_error : ndarray, (D,)
        Root mean square of v − σ(Wᵀ σ(W v + b) + a) over the units and the data of each layer, with
        a the biases of the data in the machine of that layer.
    data_std : ndarray, (D,)
        Standard deviation of a unit of the data of each layer, root mean square over the units:
        the reconstruction error of the best constant.

    See Also
    --------
    pretrain_rbm : makes it, with references.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> X = np.random.default_rng(0).random((100, 6))
    >>> stack = vgsim.pretrain_rbm([6, 4], X, n_iter=2)
    >>> stack.widths, stack.parameters["0.weight"].shape, stack.reconstruction_error.shape
    ((6, 4), (4, 6), (1,))
    """

    widths: tuple[int, ...]
    parameters: dict[str, Array]
    pseudo_likelihood: Array
    reconstruction_error: Array
    data_std: Array

    _index: ClassVar[str] = "layer"
    _first: ClassVar[int] = 1

    def __repr__(self) -> str:
        return f"<Pretraining: {len(self.widths) - 1} sigmoid layers, widths {brief(self.widths)}>"

    def _items(self) -> list[tuple[str, Any]]:
        """Return the fields by name, without the parameters."""
        return [(name, value) for name, value in super()._items() if name != "parameters"]

    def for_network(self, network: Network) -> dict[str, Array]:
        """Return the weights and biases of the sigmoid layers of a network, under its names.

        The parameters of a read-out are not among them, since pre-training knows no classes: they
        are those that the network draws.

        Parameters
        ----------
        network : MLP or Sequential
            Fully-connected sigmoid layers of widths n_0, n_1, …, and nothing else except one Linear
            without activation at the end. A network of d < D sigmoid layers gets the first d.

        Returns
        -------
        dict of str to ndarray
            A weight and a bias for each sigmoid layer.

        Raises
        ------
        TypeError, ValueError
            If the network has other layers, other widths, or more sigmoid layers.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> X = np.random.default_rng(0).random((100, 6))
        >>> stack = vgsim.pretrain_rbm([6, 4, 4], X, n_iter=2)
        >>> network = vgsim.Sequential(
        ...     6, [vgsim.Linear(4), "sigmoid", vgsim.Linear(4), "sigmoid", vgsim.Linear(3)]
        ... )
        >>> {name: array.shape for name, array in stack.for_network(network).items()}
        {'0.weight': (4, 6), '0.bias': (4,), '2.weight': (4, 4), '2.bias': (4,)}
        """
        names = _sigmoid_layers(checked_network(network))
        depth, widths = len(names), (network.width_at(0), *(rows for _, _, rows in names))
        if not depth or widths != self.widths[: depth + 1]:
            raise value_error(
                "network",
                f"must have sigmoid layers of the first of the widths {brief(self.widths)}, got "
                f"{brief(widths)}",
            )
        found = {}
        for l, (weight, bias, _) in enumerate(names):
            found[weight] = self.parameters[f"{l}.weight"]
            found[bias] = self.parameters[f"{l}.bias"]
        return found


def _sigmoid_layers(network: Network) -> list[tuple[str, str, int]]:
    """Return names of weight and bias, and the units, of each layer of a stack of sigmoids."""
    if network.shares_weights or network.own_engine:
        raise type_error(
            "network", f"must be a vgsim.MLP or vgsim.Sequential, got {brief(network)}"
        )
    program, layers, sigmoid = with_biases(network), [], Activation("sigmoid")
    operations = [(o, place) for place in range(1, network.depth + 1) for o in program.at(place)]
    for start in range(0, len(operations), 3):
        match operations[start : start + 3]:
            case [(Weights() as W, l), (Bias() as b, _), (Activate(activation=phi), _)] if (
                phi == sigmoid
            ):
                layers.append((parameter_name(W, l), parameter_name(b, l), W.shape[0]))
            case [(Weights(), _), (Bias(), _)]:
                pass  # a read-out, which can only be the end
            case _:
                raise value_error(
                    "network",
                    "must have fully-connected sigmoid layers, with at most one Linear after them, "
                    f"got {brief(network)}",
                )
    return layers


def pretrain_rbm(
    widths: Sequence[int],
    X: ArrayLike,
    *,
    learning_rate: float = 0.1,
    n_iter: int = 50,
    batch_size: int = 10,
    seed: int = 0,
) -> Pretraining:
    """Pre-train a stack of sigmoid layers, layer by layer, without classes.

    Layer l is a restricted Boltzmann machine of n_{l-1} visible and n_l hidden units, trained by
    persistent contrastive divergence: ``sklearn.neural_network.BernoulliRBM``. The data of the
    first layer are `X`, those of the next ones the probabilities σ(W v + b) that the hidden units
    of the layer before are 1. Stacked, the machines are a deep belief network [1]_, and their
    weights and biases the start of supervised training [2]_, [3]_.

    Parameters
    ----------
    widths : sequence of D + 1 ints
        n_0 … n_D: the units of the data and of the D layers.
    X : array_like, (N, n_0)
        Rows with values from 0 to 1, which are taken as probabilities.
    learning_rate : float, default 0.1
        Step of the gradient's ascent, for all layers.
    n_iter : int, default 50
        Passes over the rows for each layer.
    batch_size : int, default 10
        Rows of a minibatch, at most N. The minibatches are consecutive rows, the same in each pass.
    seed : int, default 0
        An int >= 0. The result is the same for the same seed, up to rounding on other machines, and
        the first layers of a longer stack are those of a shorter one.

    Returns
    -------
    Pretraining
        With the parameters, and how well each layer reconstructs its data.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, a value of `X` is not between 0 and 1,
        or `learning_rate` is so large that weights leave the range of float64.
    ImportError
        If scikit-learn is not installed.

    See Also
    --------
    evaluate : the forward and backward pass of the stack.

    Notes
    -----
    The data of upper layers may hardly vary from row to row (`Pretraining.data_std`): then their
    machines learn little but biases, and more passes help. The defaults were chosen on 8 × 8 images
    of digits and layers of 48 units: with them the data vary up to the sixth layer and beyond, with
    20 passes up to the fourth.

    References
    ----------
    .. [1] G. E. Hinton, S. Osindero and Y.-W. Teh, A fast learning algorithm for deep belief nets,
       Neural Computation 18, 2006.
    .. [2] Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, Greedy layer-wise training of deep
       networks, NeurIPS 2006.
    .. [3] D. Erhan, Y. Bengio, A. Courville, P.-A. Manzagol, P. Vincent and S. Bengio, Why does
       unsupervised pre-training help deep learning?, JMLR 11, 2010.

    Examples
    --------
    Rows of eight units, of which one half is 1 and the other 0:

    >>> import numpy as np
    >>> import vgsim
    >>> left = np.repeat([1.0, 0.0], 4)
    >>> X = np.array([left, 1 - left] * 50)
    >>> stack = vgsim.pretrain_rbm([8, 4, 2], X, n_iter=100)
    >>> stack
    <Pretraining: 2 sigmoid layers, widths (8, 4, 2)>
    >>> {name: array.shape for name, array in stack.parameters.items()}
    {'0.weight': (4, 8), '0.bias': (4,), '1.weight': (2, 4), '1.bias': (2,)}
    >>> bool(stack.reconstruction_error[0] < 0.1 * stack.data_std[0])
    True
    """
    from scipy.special import expit

    n = [
        checked_int(f"widths[{l}]", width, 1, MOST)
        for l, width in enumerate(checked_items("widths", widths, "must be a sequence of ints"))
    ]
    if len(n) < 2:
        raise value_error(
            "widths", f"must hold at least 2 widths, n_0 and n_1, got {brief(widths)}"
        )
    v = _checked_rows(X, n[0])
    machine: dict[str, Any] = {
        "learning_rate": LEARNING_RATE.check("learning_rate", learning_rate),
        "n_iter": checked_int("n_iter", n_iter, 1, MOST),
        "batch_size": checked_int("batch_size", batch_size, 1, len(v), f"the {len(v)} rows of X"),
    }
    seeds = np.random.SeedSequence(checked_seed(seed)).generate_state(len(n) - 1)
    BernoulliRBM = _scikit_learn().BernoulliRBM
    parameters, quality = {}, []
    for l, units in enumerate(n[1:]):
        rbm = BernoulliRBM(units, random_state=int(seeds[l]), **machine)
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = rbm.fit(v).transform(v)
            W, b = rbm.components_, rbm.intercept_hidden_
            error = v - expit(hidden @ W + rbm.intercept_visible_)
            quality.append((rbm.score_samples(v).mean(), _rms(error), _rms(v - v.mean(axis=0))))
        if not all(np.isfinite(array).all() for array in (W, b, quality)):
            raise value_error(
                "learning_rate",
                f"must be smaller: weights of layer {l + 1} left the range of float64",
            )
        parameters[f"{l}.weight"], parameters[f"{l}.bias"] = W, b
        v = hidden
    return Pretraining(tuple(n), parameters, *np.array(quality).T)


def _checked_rows(X: ArrayLike, units: int) -> Array:
    """Return rows of probabilities, (N, units)."""
    rows = real_array("X", X, "must be an array of rows")
    if rows.ndim != 2 or rows.shape[1] != units or not len(rows):
        raise value_error("X", f"must have shape (N, n_0) with n_0 = {units}, got {rows.shape}")
    wrong = ~((rows >= 0) & (rows <= 1))
    if wrong.any():
        raise value_error("X", f"must have values from 0 to 1, got {rows[wrong][0]}")
    return rows


def _rms(x: Array) -> float:
    """Return the root mean square of all entries."""
    return float(np.sqrt(np.mean(x**2)))


def _scikit_learn() -> Any:
    """Return the module sklearn.neural_network."""
    try:
        return import_module("sklearn.neural_network")
    except ImportError as error:
        raise ImportError(
            "pretrain_rbm needs the package scikit-learn: pip install 'vgsim[train]'"
        ) from error
