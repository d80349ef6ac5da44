"""Samples of PyTorch modules by autograd: a module, inputs and a cotangent for every index."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._engine.data import Data
from vgsim._engine.settings import Settings
from vgsim._networks.undescribed import TorchModule, alone

__all__ = ["differentiate"]

Outputs = Mapping[str, NDArray[Any]]
Array = NDArray[np.float64]


def differentiate(
    network: Any,
    settings: Settings,
    first: int,
    layers: NDArray[np.int64],
    outputs: Outputs,
    report: Callable[[int], object] | None = None,
) -> None:
    """Fill the arrays of `outputs`, by the names in `QUANTITIES`, with the samples from `first` on.

    The module of a sample is made, and the forward pass is run, after ``torch.manual_seed`` with a
    seed that depends on the key of the network and the index, on one thread.
    """
    key = [int(word) for word in settings.key(network)]
    for i in range(len(outputs["dead"])):
        if report is not None:
            report(i)
        index = first + i
        with alone() as torch:
            found = _Sample(torch, network, settings, [*key, index & 0xFFFFFFFF, index >> 32])
        _record(found, layers, outputs, i)
    if report is not None:
        report(len(outputs["dead"]))


class _Sample:
    """The forward and backward pass of one module.

    Attributes
    ----------
    X, G : list of ndarray
        X_0 … X_D and G_0 … G_D.
    matrices, matrix_gradients : list of list of ndarray
        The matrices of each place 1 … D, and their gradients.
    """

    def __init__(
        self, torch: Any, network: TorchModule, settings: Settings, key: list[int]
    ) -> None:
        init, batch, cotangent = np.random.SeedSequence(key).spawn(3)
        torch.manual_seed(int(init.generate_state(1, np.uint64)[0]))
        dtype = getattr(torch, settings.dtype)
        module = network.module().to(dtype)
        x = _inputs(torch, network, settings, np.random.default_rng(batch)).to(dtype)
        x.requires_grad_()
        self._kept = [x]
        names = network.places if network.places is not None else _children(module)
        if len(names) != network.depth:
            problem = f"must be the number of places, {len(names)}, got {network.depth}"
            raise value_error("depth", problem)
        places = [_submodule(module, name) for name in names]
        for name, place in zip(names, places, strict=True):
            place.register_forward_hook(self._keeping(torch, name))
        y = _first(module(x.clone()))
        if not _is_real(torch, y) or not y.requires_grad:
            what = f"the output is {_kind(y)}" if not _is_real(torch, y) else "it has no gradient"
            problem = "must return a module with an output of real numbers that depends on inputs"
            raise value_error("make", f"{problem} differentiably: {what}")
        if len(self._kept) <= network.depth:
            raise value_error("places", f"must all be called in a forward pass, got {list(names)}")
        upstream = _cotangent(torch, settings.loss, y.detach(), np.random.default_rng(cotangent))
        matrices = [
            [p for p in place.parameters() if p.ndim >= 2 and p.requires_grad] for place in places
        ]
        of = [*self._kept, *(p for several in matrices for p in several)]
        by = torch.autograd.grad(y, of, upstream, allow_unused=True)
        if by[network.depth] is None:
            problem = f"must end with a module that the output depends on, got {names[-1]!r}"
            raise value_error("places", problem)
        gradients = [
            np.zeros(tuple(tensor.shape)) if g is None else _array(g)
            for tensor, g in zip(of, by, strict=True)
        ]
        self.X = [_array(x) for x in self._kept]
        self.G, rest = gradients[: len(self.X)], iter(gradients[len(self.X) :])
        self.matrix_gradients = [[next(rest) for _ in several] for several in matrices]
        self.matrices = [[_array(p) for p in several] for several in matrices]

    def _keeping(self, torch: Any, name: str) -> Callable[..., Any]:
        """Return a hook that appends an output to X, and passes on a copy of it."""
        called: list[str] = []

        def keep(_: Any, inputs: Any, output: Any) -> Any:
            first = _first(output)
            if called or not _is_real(torch, first):
                problem = "is called twice" if called else f"returns {_kind(first)}"
                raise value_error(
                    "places",
                    f"must be modules that are called once and return a tensor of real numbers: "
                    f"{name!r} {problem}",
                )
            called.append(name)
            self._kept.append(first)
            copied = first.clone()  # that later modules may change in place
            return (copied, *output[1:]) if isinstance(output, tuple) else copied

        return keep


def _first(output: Any) -> Any:
    """Return an output, or the first of several."""
    return output[0] if isinstance(output, tuple) and output else output


def _is_real(torch: Any, output: Any) -> bool:
    return isinstance(output, torch.Tensor) and output.is_floating_point()


def _kind(output: Any) -> str:
    """Return the words for an output that is not a tensor of real numbers."""
    return f"a {type(output).__name__}" + (
        f" of {output.dtype}" if hasattr(output, "dtype") else ""
    )


def _children(module: Any) -> list[str]:
    return [name for name, _ in module.named_children()]


def _submodule(module: Any, name: str) -> Any:
    try:
        return module.get_submodule(name)
    except AttributeError:
        known = ", ".join(repr(one) for one, _ in module.named_modules() if one)
        problem = f"must be names of submodules, {known or 'of which there are none'}; got {name!r}"
        raise value_error("places", problem) from None


def _inputs(torch: Any, network: TorchModule, settings: Settings, rng: np.random.Generator) -> Any:
    """Return X_0, of shape (batch_size, *input_shape)."""
    shape = (settings.batch_size, *network.input_shape)
    if network.draw is not None:
        x = network.draw(settings.batch_size)
        if not isinstance(x, torch.Tensor) or tuple(x.shape) != shape or not x.is_floating_point():
            got = f"{x.dtype} of shape {tuple(x.shape)}" if hasattr(x, "dtype") else repr(x)
            raise value_error("draw", f"must return real numbers of shape {shape}, got {got}")
        return x.detach()
    if settings.data is None:
        return torch.from_numpy(rng.standard_normal(shape))
    return torch.from_numpy(_rows(settings.data, settings.batch_size, rng).reshape(shape))


def _rows(data: Data, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return random rows, drawn without replacement."""
    chosen = rng.choice(data.rows, count, replace=False)
    return np.ldexp(data.significands[chosen], data.exponents[chosen, np.newaxis])


def _cotangent(torch: Any, loss: str, y: Any, rng: np.random.Generator) -> Any:
    """Return ∂L/∂y."""
    if loss == "cross_entropy":
        if y.ndim != 2:
            problem = f"'cross_entropy' needs outputs (batch, classes), got {tuple(y.shape)}"
            raise value_error("loss", problem)
        classes = torch.from_numpy(rng.integers(y.shape[1], size=len(y)))
        g = y.softmax(dim=1)
        g[torch.arange(len(y)), classes] -= 1
        return g
    normal = torch.from_numpy(rng.standard_normal(tuple(y.shape))).to(y.dtype)
    return normal if loss == "linear" else y - normal


def _array(tensor: Any) -> Array:
    """Return a tensor as a float64 array, of shape (batch, …)."""
    array = np.asarray(tensor.detach().double().numpy())
    if not np.isfinite(array).all():
        raise value_error("dtype", "is too small for the module: a value is NaN or infinite")
    return array


def _record(sample: _Sample, layers: NDArray[np.int64], outputs: Outputs, i: int) -> None:
    """Write the quantities of sample i."""
    sizes = np.array([g.size for g in sample.G])
    gradient = np.array([_log10_norm([g]) for g in sample.G])
    if gradient[-1] == -math.inf:
        raise value_error("loss", f"gives an output gradient of 0 in sample {i} of this run")
    rms = gradient - 0.5 * np.log10(sizes)
    least, most = (op.accumulate(rms[::-1])[::-1] for op in (np.minimum, np.maximum))
    outputs["output_gradient"][i] = gradient[-1]
    outputs["dead"][i] = gradient[0] == -math.inf
    weights = [_log10_norm(g) for g in sample.matrix_gradients]
    behind = layers[layers >= 1].tolist()
    found: dict[str, Callable[[], Any]] = {
        "gradient": lambda: gradient[layers],
        "rms_min": lambda: least[layers],
        "rms_max": lambda: most[layers],
        "activation": lambda: [_log10_norm([x]) - 0.5 * math.log10(x.size) for x in X],
        "activation_correlation": lambda: [_cosine(x) for x in X],
        "gradient_correlation": lambda: [_cosine(sample.G[l]) for l in layers],
        "weight_gradient": lambda: [weights[l - 1] for l in behind],
        "update_ratio": lambda: [
            weights[l - 1] - _log10_norm(sample.matrices[l - 1])
            if weights[l - 1] > -math.inf
            else -math.inf
            for l in behind
        ],
    }
    X = [sample.X[l] for l in layers]
    for name in found.keys() & outputs.keys():
        outputs[name][i] = found[name]()


def _log10_norm(arrays: list[Array]) -> float:
    """Return log10 of the norm of several arrays together; −inf if all are 0."""
    largest = max((float(np.max(np.abs(a))) for a in arrays), default=0.0)
    if largest == 0:
        return -math.inf
    return math.log10(largest) + 0.5 * math.log10(sum(np.sum((a / largest) ** 2) for a in arrays))


def _cosine(batch: Array) -> float:
    """Return the mean cosine of pairs of examples that are not zero; 0 without pairs."""
    rows = batch.reshape(len(batch), -1)
    sizes = np.max(np.abs(rows), axis=1, keepdims=True)
    rows = (rows / np.where(sizes > 0, sizes, 1.0))[sizes[:, 0] > 0]
    if len(rows) < 2:
        return 0.0
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (directions @ directions.T)[np.triu_indices(len(rows), 1)]
    return float(np.clip(np.mean(cosines), -1.0, 1.0))
