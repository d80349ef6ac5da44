"""The laws of weights of the dense engine: draws against the twin's, and against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim import _kernels
from vgsim._twin.weight_laws import entries

KEY = np.array([0xDEADBEEF, 0x12345678], dtype=np.uint32)
DTYPES = {"float32": 2e-6, "float64": 4e-15}  # relative errors
KEPT = 2**32 - 85899346  # first word that a mask of density 0.02 keeps

# law: parameters, parameter of the kernels, standard deviation of the raw draws, law in SciPy.
LAWS = {
    "student_t 2.1": ((2.1,), 2.1, math.sqrt(21), stats.t(2.1, scale=21**-0.5)),
    "student_t 3": ((3.0,), 3.0, math.sqrt(3), stats.t(3, scale=3**-0.5)),
    "student_t 30": ((30.0,), 30.0, math.sqrt(30 / 28), stats.t(30, scale=(28 / 30) ** 0.5)),
    "student_t 1e6": ((1e6,), 1e6, math.sqrt(1e6 / (1e6 - 2)), stats.norm()),
    "laplace": ((), 0.0, math.sqrt(8), stats.laplace(scale=0.5**0.5)),
    "rademacher": ((), 0.0, 1.0, None),
    "sparse": ((0.02,), float(KEPT), (1 - KEPT / 2**32) ** 0.5, None),
    "sparse, whole": ((1.0,), 0.0, 1.0, stats.norm()),
}
laws = pytest.mark.parametrize("law", LAWS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def drawn(law, dtype, count=200_000, layer=3):
    """Draws of the kernels, of variance 1."""
    _, parameter, std, _ = LAWS[law]
    name = law.split(" ")[0].strip(",")
    return _kernels.draws(KEY, 1, layer, 5, name, count, dtype, parameter) / std


@dtypes
@laws
def test_draws_are_the_twins(isa, law, dtype):
    twin = entries(law.split(" ")[0].strip(","), *LAWS[law][0])
    expected = twin(KEY, "forward", 3, 5, 100_000, dtype)
    np.testing.assert_allclose(drawn(law, dtype, 100_000), expected, rtol=DTYPES[dtype], atol=0)


def test_draws_have_the_same_bits_on_every_instruction_set():
    results = {}
    for name in _kernels.available_isas():
        _kernels.set_isa(name)
        results[name] = [drawn(law, dtype, 10_001).tobytes() for law in LAWS for dtype in DTYPES]
    _kernels.set_isa(None)
    assert all(result == results["base"] for result in results.values())


@dtypes
@pytest.mark.parametrize("law", [law for law, (*_, exact) in LAWS.items() if exact])
def test_draws_have_the_law_of_scipy(law, dtype):
    exact, count = LAWS[law][-1], 1_000_000
    x = drawn(law, dtype, count)
    assert stats.kstest(x, exact.cdf).pvalue > 1e-4
    assert stats.kstest(np.abs(x[1:] * x[:-1]), np.abs(x[2::2] * x[:-2:2])).pvalue > 1e-4
    for probability in (1e-3, 3e-5):  # both tails
        counted = [int((x < exact.ppf(probability)).sum()), int((x > exact.isf(probability)).sum())]
        for k in counted:
            assert stats.binomtest(k, count, probability).pvalue > 1e-5


@dtypes
def test_signs_and_masks(dtype):
    signs = drawn("rademacher", dtype, 1_000_000)
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 5e-3
    assert abs(np.mean(signs[1:] * signs[:-1])) < 5e-3
    x = drawn("sparse", dtype, 1_000_000)
    some = x != 0
    assert stats.binomtest(int(some.sum()), x.size, 0.02).pvalue > 1e-4
    assert stats.binomtest(int((some[1:] & some[:-1]).sum()), x.size, 4e-4).pvalue > 1e-4
    assert stats.kstest(x[some] * 0.02**0.5, "norm").pvalue > 1e-4


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 32), ("float64", 53)])
def test_tails_end_at_the_least_uniform(dtype, bits):
    """A draw of Laplace's law has the tail probability u/2, of which 2^(1 - bits) is the grid."""
    x = np.abs(drawn("laplace", dtype, 4_000_000))
    grid = np.exp(-np.sqrt(2.0) * x[x > 9.0]) * 2.0 ** (bits - 1)  # k + 1/2
    assert grid.size > 5
    assert (grid >= 0.5).all()
    if dtype == "float32":
        np.testing.assert_allclose(grid % 1, 0.5, atol=0.3)


def test_only_the_dense_engine_draws_them():
    for name, own in [
        ("student_t", {"df": 3}),
        ("laplace", {}),
        ("rademacher", {}),
        ("sparse", {"density": 0.5}),
        ("diagonal", {}),
    ]:
        init = vgsim.Initializer(name, **own)
        for net in (
            vgsim.MLP(2, 4, init=init),
            vgsim.Sequential(4, [vgsim.Linear(init=init), "tanh"]),
        ):
            with pytest.raises(ValueError, match=f"needs Gaussian or orthogonal.*{name}"):
                vgsim.simulate(net, 1, engine="matrix-free")
            assert vgsim.simulate(net, 1, seed=1).engine == "dense"
