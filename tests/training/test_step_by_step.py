"""vgsim.train against PyTorch in float64, from the same parameters, minibatches and masks."""

import numpy as np
import pytest

import vgsim

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")

from torch_training import Minibatch, train  # noqa: E402
from training_cases import CASES, RECORDED, ROWS, STEPS, initial_parameters  # noqa: E402

from vgsim._networks.jax.network import double_precision  # noqa: E402
from vgsim._training.data import read_data  # noqa: E402
from vgsim._training.optimizers import Optimizer  # noqa: E402
from vgsim._training.run import Run  # noqa: E402
from vgsim._training.settings import TrainingSettings  # noqa: E402
from vgsim._training.step import sample_key  # noqa: E402

pytestmark = pytest.mark.usefixtures("quickly_compiled")
SEED, INDEX = 5, 7
RTOL = 1e-9
QUICK = ("momentum, ReLU", "AdamW", "clip norm", "no biases", "RNN, leaky")
RECORD = ("gradient", "activation", "weight_gradient", "update_ratio", "movement", "parameters")


def passes(case, data):
    """Return the minibatches and draws of two samples."""
    settings = TrainingSettings.checked(
        case.network,
        data=read_data(data, case.loss),
        steps=STEPS,
        optimizer=Optimizer("sgd", 0.0, None),
        batch_size=case.batch,
        loss=case.loss,
        biases=case.biases,
        initial=vgsim._training.initial.checked_initial(None, stored=False),
        record=(),
        every=None,
        layers=None,
        dtype="float64",
    )
    with double_precision("float64"):
        run = Run(case.network, settings, SEED)
        draw = jax.jit(jax.vmap(run.kind.minibatch, (None, None, 0)))
        drawn = [
            jax.device_get(draw(run.data, sample_key(run.key, words), np.arange(STEPS)))
            for words in np.array([[0, INDEX], [0, INDEX + 1]], dtype=np.uint32)
        ]
    return [
        [Minibatch(x[t], y[t], {name: a[t] for name, a in more.items()}) for t in range(STEPS)]
        for x, y, more in drawn
    ]


def cancels(network, name):
    """Whether the loss does not depend on a bias, whose gradient is rounding in PyTorch."""
    if name.endswith("key_bias"):
        return True
    if not name.endswith("bias") or "batch" not in repr(network):
        return False
    return isinstance(network, vgsim.MLP) or int(name.split(".")[0]) < network.depth - 1


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_equals_pytorch(name):
    case = CASES[name]
    data = case.data(np.random.default_rng(1))
    parameters = initial_parameters(case)
    accuracy = ("accuracy",) if case.loss == "cross_entropy" else ()
    trained = vgsim.train(
        case.network,
        2,
        first=INDEX,
        data=data,
        steps=STEPS,
        batch_size=case.batch,
        loss=case.loss,
        clip=case.clip,
        biases=case.biases,
        initial=parameters,
        seed=SEED,
        every=1,
        layers=range(case.network.depth + 1),
        record=(*RECORD, *accuracy),
        dtype="float64",
        **case.optimizer.optax(optax),
    )
    for sample, batches in enumerate(passes(case, data)):
        expected = train(
            case.network,
            parameters,
            batches,
            case.optimizer.torch(torch),
            loss=case.loss,
            clip=case.clip and (case.clip.by, case.clip.bound),
            biases=case.biases,
            recorded=RECORDED,
        )
        assert np.ptp(expected.loss) > 0.01  # something is learnt, in all matrices
        assert (expected.recorded["movement"][-1] > -3).all()
        np.testing.assert_allclose(trained.loss[sample], expected.loss, rtol=RTOL)
        assert {*expected.recorded} == {*RECORD[:-1], *accuracy}
        for quantity, values in expected.recorded.items():
            found = getattr(trained, quantity)[sample, RECORDED]
            np.testing.assert_allclose(found, values, rtol=0, atol=RTOL, err_msg=quantity)
        assert {*trained.parameters} == {*expected.parameters}
        for parameter, array in expected.parameters.items():
            if not cancels(case.network, parameter):
                found = trained.parameters[parameter][sample]
                scale = RTOL * np.linalg.norm(array) / np.sqrt(array.size)
                np.testing.assert_allclose(found, array, rtol=0, atol=scale, err_msg=parameter)


def test_the_samples_differ_and_their_rows_are_those_of_the_data():
    case = CASES["sgd"]
    X, y = case.data(np.random.default_rng(1))
    both = passes(case, (X, y))
    chosen = np.array(
        [[[np.flatnonzero((row == X).all(1)) for row in b.x] for b in one] for one in both]
    )
    assert chosen.shape == (2, STEPS, case.batch, 1)  # each row is exactly one of X
    for one, rows in zip(both, chosen[..., 0], strict=True):
        for b, r in zip(one, rows, strict=True):
            assert len(set(r)) == case.batch
            np.testing.assert_array_equal(b.y, y[r])
    assert (chosen[0] != chosen[1]).any(axis=(1, 2)).all()
    assert len(np.unique(chosen)) == ROWS
