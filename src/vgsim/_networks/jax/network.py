"""JaxNetwork: a network as functions in JAX. JAX is imported when one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vgsim._checks import brief, checked_dtype, type_error, value_error
from vgsim._display import block, table
from vgsim._domains import checked_bool
from vgsim._networks.jax.arguments import (
    check_inputs,
    check_rows,
    check_sequence,
    check_shapes,
    checked_mapping,
    is_sequence,
)
from vgsim._networks.operations import Bias, Program, Weights
from vgsim._networks.parameter_shapes import (
    drawn_shapes,
    parameter_program,
    parameter_shapes,
)
from vgsim.typing import DType

if TYPE_CHECKING:
    import jax

__all__ = ["JaxNetwork", "WithJax", "double_precision", "jax_package"]

X64 = 'jax.config.update("jax_enable_x64", True)'


def jax_package() -> Any:
    """Return the package jax; ImportError with the remedy if it is not installed."""
    try:
        import jax
    except ImportError as error:
        problem = "to_jax needs the package jax: pip install 'vgsim[train]'"
        raise ImportError(problem) from error
    return jax


def double_precision(dtype: str) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in this dtype: it has float64 in its x64 mode only."""
    jax = jax_package()
    if dtype != "float64":
        return nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)  # type: ignore[no-any-return]
    from jax.experimental import enable_x64

    return enable_x64(True)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class JaxNetwork:
    """A network as functions in JAX; returned by ``network.to_jax()``.

    The functions can be transformed by ``jax.jit``, ``jax.vmap``, ``jax.grad`` and the like. They
    need the package jax.

    Parameters
    ----------
    network : MLP, Sequential, RNN, LSTM or GRU
    dtype : {"float32", "float64"}, default "float32"
        The floating-point format of parameters and states. JAX has float64 only after
        ``jax.config.update("jax_enable_x64", True)``.
    biases : bool, default False
        Whether every matrix has a bias, apart from those of gates in an MLP or a Sequential. Biases
        that the network does not draw are 0.

    Attributes
    ----------
    network, dtype, biases
        As above.
    shapes : dict of str to tuple of int
        The shapes of the parameters by name, masks and drive not included.

    Raises
    ------
    ImportError
        If JAX is not installed.
    TypeError, ValueError
        If an argument is of the wrong type or out of range, if the network is known by its
        gradients only, or if the standard deviation of a matrix is out of the range of `dtype`.

    Notes
    -----
    Parameters, masks and drive have the names and shapes of :attr:`Replay.parameters`. The laws are
    those of :func:`simulate`, the random numbers are JAX's: no sample of one equals a sample of the
    other. The parameters of a place and their law do not depend on the depth.

    Activations have the derivatives of :meth:`Activation.derivative`. The gradients of a network
    with `clip` are clipped in the backward pass, at X_0 … X_{D-1}.

    The arithmetic is that of `dtype`: unlike :func:`simulate` and :func:`evaluate`, gradients out
    of its range are 0 or infinite.

    Examples
    --------
    >>> import jax
    >>> import vgsim
    >>> net = vgsim.MLP(2, [4, 8, 3]).to_jax(biases=True)
    >>> net
    <JaxNetwork: MLP(depth=2, width=(4, 8, 3), init='glorot_normal'), float32, biases>
    >>> net.shapes
    {'0.weight': (8, 4), '0.bias': (8,), '1.weight': (3, 8), '1.bias': (3,)}
    >>> parameters = net.init(jax.random.key(0))
    >>> x = jax.random.normal(jax.random.key(1), (5, 4))
    >>> net.apply(parameters, x).shape
    (5, 3)

    One hundred networks, and the gradients of a loss by their parameters:

    >>> many = jax.vmap(net.init)(jax.random.split(jax.random.key(2), 100))
    >>> gradient = jax.grad(lambda parameters: net.apply(parameters, x).sum())
    >>> jax.jit(jax.vmap(gradient))(many)["0.weight"].shape
    (100, 8, 4)
    """

    network: Any
    dtype: DType = "float32"
    biases: bool = False
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        network, dtype = self.network, checked_dtype("dtype", self.dtype, ("float32", "float64"))
        biases = checked_bool("biases", self.biases)
        if not isinstance(network, WithJax):
            raise type_error("network", f"must be a network of vgsim, got {brief(network)}")
        program = parameter_program(network, biases=biases)
        jnp = jax_package().numpy
        least, most = 1e3 * float(jnp.finfo(dtype).tiny), 1e-3 * float(jnp.finfo(dtype).max)
        stds = {o.name: o.std for o in program.of(Weights)}
        stds |= {o.name: o.std for o in program.of(Bias)}
        for name, std in stds.items():
            if std and not least < std < most:
                problem = f"the entries of {name!r} have a standard deviation of {std}, beyond the"
                raise value_error("dtype", f"must be 'float64': {problem} range of {dtype!r}")
        for name, value in {"dtype": dtype, "biases": biases, "program": program}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        text = brief(self.network)
        return f"<JaxNetwork: {text}, {self.dtype}{', biases' if self.biases else ''}>"

    def _repr_html_(self) -> str:
        count = len(self.shapes)
        rows = [("network", brief(self.network)), ("dtype", self.dtype)]
        rows += [("biases", str(self.biases)), ("parameters", f"{count:,} arrays")]
        return block(table((type(self).__name__, ""), rows, words=2))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by name, masks and drive not included."""
        return parameter_shapes(self.program)

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        """Draw parameters from the laws of the network.

        Parameters
        ----------
        key : jax.Array
            A key of JAX's random numbers, as of ``jax.random.key(0)``.

        Returns
        -------
        dict of str to jax.Array
            Matrices and biases, with the shapes `shapes`. Those of a place have a key of their own,
            made of `key` and the number of the place.

        Raises
        ------
        ValueError
            If `dtype` is "float64" and JAX is not in its x64 mode.

        Examples
        --------
        >>> import jax
        >>> import vgsim
        >>> net = vgsim.LSTM(5, 8, chrono=10).to_jax()
        >>> parameters = net.init(jax.random.key(0))
        >>> i, f, g, o = parameters["bias"].reshape(4, 8)
        >>> bool((i == -f).all())
        True
        """
        from vgsim._networks.jax.laws import initial_parameters

        jnp = self._numpy()
        drawn = initial_parameters(self.network.program, key, self.dtype)
        return {
            name: drawn[name] if name in drawn else jnp.zeros(shape, self.dtype)
            for name, shape in self.shapes.items()
        }

    def apply(
        self, parameters: Mapping[str, jax.Array], x: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Return X_D, the outputs of a forward pass.

        Parameters
        ----------
        parameters : mapping of str to array
            Matrices and biases, with the shapes `shapes`, as `init` returns them. It may also hold
            masks, (n, columns) of zeros and ones, and the drive, (steps, n, columns).
        x : array, (B, n_0)
            The inputs X_0, one row for each example. With `tokens`, (B, tokens, n_0), or
            (B · tokens, n_0) with the tokens of a sequence one after the other.

            Of an RNN, LSTM or GRU (B, n) is the state h_0, and (B, steps, n) is the drive
            s_1 … s_steps instead, with h_0 = 0.
        key : jax.Array, optional
            The key for masks and drive that `parameters` does not hold. A network that draws
            nothing in a pass makes no use of it.

        Returns
        -------
        jax.Array, (B, n_D)
            With `tokens`, the leading dimensions of x; of a recurrent network h of the last step.

        Raises
        ------
        TypeError, ValueError
            If an array is missing, unknown or of another shape, if there are masks or a drive to be
            drawn and no key, or if `dtype` is "float64" and JAX is not in its x64 mode.

        Examples
        --------
        >>> import jax
        >>> import numpy as np
        >>> import vgsim
        >>> sample = vgsim.replay(vgsim.MLP(10, 8), seed=1, batch_size=5)
        >>> X_D = sample.network.to_jax().apply(sample.parameters, sample.inputs.T)
        >>> result = vgsim.evaluate(
        ...     sample.network, sample.parameters, sample.inputs, sample.output_gradient,
        ...     return_arrays=True,
        ... )
        >>> bool(np.allclose(X_D.T, result.activations[10], atol=1e-5))
        True
        """
        jnp = self._numpy()
        x, given = jnp.asarray(x, self.dtype), dict(checked_mapping(parameters))
        n, leading = int(self.program.widths[0]), x.shape[:-1]
        if is_sequence(self.program, x.shape):
            check_sequence(self.program, x.shape, given)
            given["drive"] = jnp.transpose(x, (1, 2, 0))
            leading, rows = leading[:1], jnp.zeros((len(x), n), self.dtype)
        else:
            check_inputs(self.program, x.shape)
            rows = x.reshape(-1, n)
        missing = [name for name in drawn_shapes(self.program, len(rows)) if name not in given]
        if missing and key is None:
            problem = f"must be given: every pass draws {brief(missing)}, and parameters hold none"
            raise value_error("key", problem)
        if missing:
            given = {**self.draws(key, len(rows)), **given}
        outputs: jax.Array = self.states(given, rows)[-1]
        return outputs.reshape(*leading, outputs.shape[-1])

    def draws(self, key: jax.Array, columns: int) -> dict[str, jax.Array]:
        """Draw what each pass draws anew: masks and drive.

        Parameters
        ----------
        key : jax.Array
            A key of JAX's random numbers.
        columns : int
            The number of rows of X_0: batch size times tokens.

        Returns
        -------
        dict of str to jax.Array
            Masks of zeros and ones, (n, columns), and the drive, (steps, n, columns), by name.

        Examples
        --------
        >>> import jax
        >>> import vgsim
        >>> net = vgsim.Sequential(8, [vgsim.Linear(), "relu", vgsim.Dropout(0.1)]).to_jax()
        >>> {name: mask.shape for name, mask in net.draws(jax.random.key(0), 5).items()}
        {'2.mask': (8, 5)}
        """
        from vgsim._networks.jax.laws import drawn_passes

        self._numpy()
        return drawn_passes(self.network.program, key, columns, self.dtype)

    def states(
        self,
        parameters: Mapping[str, jax.Array],
        x: jax.Array,
        probes: Sequence[jax.Array] | None = None,
    ) -> list[jax.Array]:
        """Return X_0 … X_D.

        Parameters
        ----------
        parameters : mapping of str to array
            Matrices, biases, masks and drive: those of `init` and of `draws`.
        x : array, (columns, n_0)
            The inputs X_0.
        probes : sequence of D + 1 arrays, optional
            Those of `probes`. With them the backward pass scales the gradients and measures them.

        Returns
        -------
        list of jax.Array, (columns, n_l) each
            Of an LSTM, h_0 … h_D.

        Raises
        ------
        TypeError, ValueError
            As `apply`.

        Examples
        --------
        >>> import jax
        >>> import vgsim
        >>> net = vgsim.MLP(2, [4, 8, 3]).to_jax()
        >>> x = jax.random.normal(jax.random.key(1), (5, 4))
        >>> [X.shape for X in net.states(net.init(jax.random.key(0)), x)]
        [(5, 4), (5, 8), (5, 3)]
        """
        from vgsim._networks.jax.walk import Pass

        jnp = self._numpy()
        x = jnp.asarray(x, self.dtype)
        check_rows(self.program, x.shape)
        given = checked_mapping(parameters)
        arrays = {name: jnp.asarray(value, self.dtype) for name, value in given.items()}
        check_shapes(self.program, {name: a.shape for name, a in arrays.items()}, len(x))
        return Pass(self.program, arrays, self.network.clip, probes).states(x)

    def probes(self) -> list[jax.Array]:
        """Return the argument of `states` whose cotangents are the measured gradients.

        Row l of the cotangents is log2 ‖ĝ_l‖ and k_l: G_l = ĝ_l 2^E_l, where E_l is the sum of k
        over the places above l.

        Examples
        --------
        >>> import jax
        >>> import vgsim
        >>> [probe.shape for probe in vgsim.MLP(2, 3).to_jax().probes()]
        [(2,), (2,), (2,)]
        """
        return [self._numpy().zeros((2,), self.dtype)] * (self.network.depth + 1)

    def _numpy(self) -> Any:
        """Return jax.numpy; refuse float64 if JAX would compute in float32."""
        jax = jax_package()
        if self.dtype == "float64" and not jax.config.jax_enable_x64:
            problem = f"'float64' needs JAX's x64 mode: call {X64} first"
            raise value_error("dtype", problem)
        return jax.numpy


class WithJax:
    """A description of a network that JAX can run."""

    def to_jax(self, *, dtype: DType = "float32", biases: bool = False) -> JaxNetwork:
        """Return the network as functions in JAX, to be differentiated and trained.

        Requires the package jax.

        Parameters
        ----------
        dtype : {"float32", "float64"}, default "float32"
            The floating-point format of parameters and states. JAX has float64 only after
            ``jax.config.update("jax_enable_x64", True)``.
        biases : bool, default False
            Whether every matrix has a bias, apart from those of gates in an MLP or a Sequential.
            Biases that the network does not draw are 0.

        Returns
        -------
        JaxNetwork
            Its ``init(key)`` draws parameters from the laws of the network, and its
            ``apply(parameters, x)`` returns the outputs.

        Raises
        ------
        ImportError
            If JAX is not installed.
        TypeError, ValueError
            If an argument is of the wrong type or out of range, if the network is known by its
            gradients only, or if the standard deviation of a matrix is out of the range of `dtype`.

        Examples
        --------
        >>> import jax
        >>> import vgsim
        >>> net = vgsim.MLP(20, 32, activation="relu", init="he_normal").to_jax()
        >>> parameters = net.init(jax.random.key(0))
        >>> net.apply(parameters, jax.random.normal(jax.random.key(1), (5, 32))).shape
        (5, 32)
        """
        return JaxNetwork(self, dtype, biases)
