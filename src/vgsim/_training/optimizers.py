"""The optimiser of a training: an optax transformation, or one of a few by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vgsim._checks import MOST_SHOWN, brief, either, plain, type_error, value_error
from vgsim._domains import Number
from vgsim._networks.techniques import Clip, ClipNorm, ClipValue

if TYPE_CHECKING:
    import optax

__all__ = ["OPTIMIZERS", "Optimizer", "checked_optimizer"]

MOMENTUM = 0.9
RATE = Number("a number >= 0", lambda rate: rate >= 0)
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {  # the step is −learning_rate times these
    "sgd": lambda optax: optax.identity(),
    "momentum": lambda optax: optax.trace(MOMENTUM),
    "adam": lambda optax: optax.scale_by_adam(),
}


@dataclass(frozen=True)
class Optimizer:
    """An optimiser, with the clipping that comes before it.

    Attributes
    ----------
    name : str
        One of `OPTIMIZERS`, or the name that was given to a transformation.
    learning_rate : float or None
        None for a transformation, which has its own.
    clip : ClipNorm, ClipValue or None
        Acts on the gradient of all weights together.
    given : optax.GradientTransformation or None
    """

    name: str
    learning_rate: float | None
    clip: Clip | None
    given: Any = None

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation; that of a name leaves out the factor −learning_rate."""
        import optax

        own = OPTIMIZERS[self.name](optax) if self.given is None else self.given
        if self.clip is None:
            return own
        by_norm = self.clip.by == "norm"
        clip = optax.clip_by_global_norm if by_norm else optax.clip
        return optax.chain(clip(self.clip.bound), own)

    def check_step(self, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> None:
        """Raise ValueError if a given transformation cannot take steps of these parameters.

        It must need nothing but the gradient and the parameters, and keep the shapes of its state.
        """
        if self.given is None:
            return
        import jax
        import optax

        def step(parameters: Any) -> Any:
            state = self.given.init(parameters)
            changes, after = self.given.update(parameters, state, parameters)
            return (parameters, state), (optax.apply_updates(parameters, changes), after)

        words = "must take steps of a dict of parameters from their gradient alone"
        parameters = {name: jax.ShapeDtypeStruct(a, dtype) for name, a in shapes.items()}
        try:
            before, after = jax.eval_shape(step, parameters)
        except Exception as error:  # a transformation can raise anything
            problem = (
                f"{words}, got {type(error).__name__}: {' '.join(str(error).split())[:MOST_SHOWN]}"
            )
            raise value_error("optimizer", problem) from error
        if (kept := _forms(before)) != (found := _forms(after)):
            problem = f"{words} and keep the shapes of its state, got {brief(found)} after"
            raise value_error("optimizer", f"{problem} {brief(kept)}")


def _forms(tree: Any) -> Any:
    """Return the structure of a tree of arrays with their shapes and types."""
    import jax

    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, str(leaf.dtype)) for leaf in leaves]


def checked_optimizer(
    optimizer: object, learning_rate: object, clip: object, name: object, *, stored: bool
) -> Optimizer:
    """Check the arguments of :func:`vgsim.train` that determine the step.

    Raises
    ------
    TypeError, ValueError
        If the optimiser is unknown, `learning_rate` is missing or superfluous, `clip` is neither
        ClipNorm nor ClipValue, or `optimizer_name` is missing with `store`.

    Examples
    --------
    >>> from vgsim._training.optimizers import checked_optimizer
    >>> checked_optimizer("adam", None, None, None, stored=False)
    Traceback (most recent call last):
    TypeError: learning_rate must be given with optimizer 'adam': a number >= 0, got None
    """
    if clip is not None and not isinstance(clip, (ClipNorm, ClipValue)):
        allowed = "a vgsim.ClipNorm, a vgsim.ClipValue or None"
        raise type_error("clip", f"must be {allowed}, got {brief(clip)}")
    word = plain(optimizer)
    if isinstance(word, str):
        if word not in OPTIMIZERS:
            known = either(map(repr, OPTIMIZERS))
            problem = f"must be {known} or an optax transformation, got {brief(optimizer)}"
            raise value_error("optimizer", problem)
        if name is not None:
            raise value_error("optimizer_name", f"is for optax transformations, got {brief(name)}")
        if learning_rate is None:
            problem = f"must be given with optimizer {word!r}: a number >= 0, got None"
            raise type_error("learning_rate", problem)
        return Optimizer(word, RATE.check("learning_rate", learning_rate), clip)
    methods = [getattr(optimizer, name, None) for name in ("init", "update")]
    if isinstance(optimizer, type) or not all(map(callable, methods)):
        known = either(map(repr, OPTIMIZERS))
        problem = f"must be {known} or an optax transformation, got {brief(optimizer)}"
        raise type_error("optimizer", problem)
    if not isinstance(optimizer, Hashable):
        raise type_error("optimizer", f"must be hashable, got {brief(optimizer)}")
    if learning_rate is not None:
        problem = "must be None with an optax transformation, which has its own"
        raise value_error("learning_rate", f"{problem}, got {brief(learning_rate)}")
    own = plain(name)
    if name is not None and not (isinstance(own, str) and own and own not in OPTIMIZERS):
        problem = f"must be a string, and none of {list(OPTIMIZERS)}, got {brief(name)}"
        raise (value_error if isinstance(own, str) else type_error)("optimizer_name", problem)
    if stored and name is None:
        problem = "must be given with an optax transformation and `store`, which compares it"
        raise type_error("optimizer_name", f"{problem}, got None")
    return Optimizer(str(own) if name is not None else "optax", None, clip, optimizer)
