"""Critical gains, the critical line and the edge of chaos, against published numbers."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import vgsim
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim.theory import critical_gain, critical_line, edge_of_chaos, mean_field
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"
JUMPS = {  # name: the bias_std up to which the fixed point jumps
    "gelu": 0.415925,
    "silu": 0.745081,
    "mish": 0.307442,
    "hard_swish": 0.712141,
    "gelu_tanh": 0.415914,
}
BIASES = (0.0, 0.1, math.sqrt(0.05), 0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "bias_square", "gain_square", "gain", "q_star", "slope"),
    [
        ("tanh", 0.0, 1.0, 1.0, 0.0, 1.0),
        ("tanh", 0.01, 1.424205, 1.193401, 0.273301, 0.678191),
        ("tanh", 0.05, 1.760955, 1.327010, 0.570048, 0.518186),
        ("tanh", 1.0, 3.443211, 1.855589, 3.036396, 0.186371),
        ("erf", 0.0, 0.785398, 0.886227, 0.0, 1.0),
        ("erf", 0.05, 1.375839, 1.172962, 0.517177, 0.491557),
        ("erf", 1.0, 2.718381, 1.648751, 2.744891, 0.154088),
        ("sigmoid", 0.0, 103.007554, 10.149264, 45.624278, 0.060250),
        ("relu", 0.0, 2.0, 1.414214, math.inf, 1.0),
        ("relu", 1.0, 2.0, 1.414214, math.inf, 1.0),
        ("softplus", 0.0, 2.0, 1.414214, math.inf, 1.0),
        ("linear", 0.0, 1.0, 1.0, math.inf, 1.0),
    ],
)
def test_critical_gains(name, bias_square, gain_square, gain, q_star, slope):
    critical = critical_gain(name, math.sqrt(bias_square))
    numbers = (critical**2, critical, critical.q_star, critical.chi_parallel)
    assert tuple(round(x, 6) for x in numbers) == (gain_square, gain, q_star, slope)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.25, 3.0])
def test_critical_gain_of_leaky_relu(slope):
    leaky = vgsim.Activation("leaky_relu", slope=slope)
    expected = math.sqrt(2 / (1 + slope**2))
    assert critical_gain(leaky) == pytest.approx(expected, rel=1e-15)
    assert critical_gain(leaky, 0.3) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("bias_std", [0.0, 1e-6, 0.03, 0.8, 30.0])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradients_vanish_below_and_explode_above(name, bias_std):
    if name in JUMPS and bias_std < JUMPS[name]:
        with pytest.raises(ValueError, match="the fixed point of the variance jumps"):
            critical_gain(name, bias_std)
        return
    gain = critical_gain(name, bias_std)

    def at(gain):
        return chi(name, gain, fixed_point(name, gain, bias_std))

    assert at(gain) == pytest.approx(1.0, abs=1e-11)
    assert at(gain * 1.01) > 1.0
    below = [at(g) for g in gain * np.linspace(0.02, 0.999, 25)]
    assert max(below) < 1.0


@pytest.mark.parametrize("omega", [1.0, 30.0])
@pytest.mark.parametrize("bias_std", [0.0, 0.01, 0.5])
def test_critical_gain_of_sine(omega, bias_std):
    """σ_w² ω² (1 + c)/2 = 1 at q = σ_w² (1 - c)/2 + σ_b², c = exp(-2 ω² q); with 2 ω² q = y."""
    sine = vgsim.Activation("sine", omega=omega)
    gain = critical_gain(sine, bias_std / omega)
    if bias_std == 0:
        assert (gain * omega, gain.q_star) == pytest.approx((1.0, 0.0))
        return

    def excess(y):  # with σ_w² ω² = 2/(1 + e^-y)
        return 2 * math.tanh(y / 2) + 2 * bias_std**2 - y

    y = brentq(excess, 1e-9, 10.0, xtol=1e-15)
    assert gain * omega == pytest.approx(math.sqrt(2 / (1 + math.exp(-y))), rel=1e-9)
    assert 2 * omega**2 * gain.q_star == pytest.approx(y, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 2.0])
def test_critical_gain_of_elu(alpha):
    elu = vgsim.Activation("elu", alpha=alpha)
    assert critical_gain(elu) == pytest.approx(math.sqrt(2 / (1 + alpha**2)), rel=1e-12)
    gain = critical_gain(elu, 0.5)
    assert chi(elu, gain, gain.q_star) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "gain_square", "bias_square", "q_star"),
    [
        ("gelu", 1.9830582574, 0.1729223908, 3.5615528128),
        ("silu", 1.9880046783, 0.5551431707, 14.3201736180),
        # by scipy.integrate.quad and brentq, from the formulas of the papers
        ("mish", 2.0135240697, 0.0945217874, 1.6701691325),
        ("hard_swish", 1.9732895836, 0.5071458488, 4.8038559489),
        ("gelu_tanh", 1.9828882398, 0.1728951983, 3.5567728447),
    ],
)
def test_edge_of_chaos_away_from_zero(name, gain_square, bias_square, q_star):
    point = edge_of_chaos(name)
    numbers = (point.gain**2, point.bias_std**2, point.q_star)
    assert tuple(round(x, 10) for x in numbers) == (gain_square, bias_square, q_star)
    assert (point.chi_1, point.chi_parallel) == pytest.approx((1.0, 1.0), abs=1e-13)


@pytest.mark.parametrize(
    ("name", "gain", "q_star"),
    [("tanh", 1.0, 0.0), ("hard_tanh", 1.0, 0.0), ("softsign", 1.0, 0.0), ("elu", 1.0, 0.0),
     ("erf", math.sqrt(math.pi) / 2, 0.0), ("selu", 0.690486073634, 0.0),
     ("relu", math.sqrt(2), 1.0), ("leaky_relu", math.sqrt(2 / 1.0001), 1.0),
     ("linear", 1.0, 1.0), ("relu6", math.sqrt(2), 0.0), ("sine", 1 / 30, 0.0)],
)  # fmt: skip
def test_edge_of_chaos_without_bias(name, gain, q_star):
    point = edge_of_chaos(name)
    assert (point.gain, point.bias_std, point.q_star) == pytest.approx((gain, 0.0, q_star))
    assert (point.chi_1, point.chi_parallel) == pytest.approx((1.0, 1.0), abs=1e-13)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "hard_sigmoid"])
def test_no_edge_of_chaos(name):
    with pytest.raises(ValueError, match=f"activation '{name}' has no gain and biases with chi_1"):
        edge_of_chaos(name)


def test_jumps_end_at_a_bias():
    """There is a critical gain above some bias_std; below, the message gives the jump."""
    for name, threshold in JUMPS.items():
        with pytest.raises(ValueError, match="the fixed point of the variance jumps") as error:
            critical_gain(name, threshold - 1e-3)
        gain = float(re.search(r"at the gain ([\d.]+)", str(error.value))[1])
        below, above = (
            chi(name, g, fixed_point(name, g, threshold - 1e-3)) for g in (gain - 1e-5, gain + 1e-5)
        )
        assert below < 1 < above
        assert math.isfinite(critical_gain(name, threshold + 1e-3).q_star)


def test_a_critical_network_is_critical():
    gain = critical_gain("tanh", 0.3)
    net = vgsim.MLP(10, 32, init="lecun_normal", gain=gain, bias_std=0.3)
    assert net == vgsim.MLP(10, 32, init="lecun_normal", gain=float(gain), bias_std=0.3)
    m = mean_field(net)
    assert (m.phase, m.xi_grad, m.q_star) == ("critical", math.inf, pytest.approx(gain.q_star))


def test_critical_gain_is_a_float_with_attributes():
    gain = critical_gain("tanh", 0.1)
    again = pickle.loads(pickle.dumps(gain))
    assert (again, vars(again)) == (gain, vars(gain))
    assert str(gain) == str(float(gain))
    assert repr(gain).startswith("CriticalGain(1.1934")
    with pytest.raises(ValueError, match="bias_std must be 0, or from 1e-6 to 1e6, got -1"):
        critical_gain("tanh", -1)


def test_critical_line():
    biases = np.array([[0.0, 0.1], [0.5, 1.0]])
    line = critical_line("tanh", biases)
    assert line.gain.shape == line.q_star.shape == line.chi_parallel.shape == (2, 2)
    assert (np.diff(line.gain.ravel()) > 0).all()
    for b, g, q, slope in zip(
        biases.flat, line.gain.flat, line.q_star.flat, line.chi_parallel.flat, strict=True
    ):
        assert chi("tanh", g, q) == pytest.approx(1.0, abs=1e-12)
        assert chi_parallel("tanh", g, q) == pytest.approx(slope)
        assert critical_gain("tanh", b) == g
    with pytest.raises(
        ValueError,
        match="activation 'gelu' has no critical gain with biases of standard deviation 0.2",
    ):
        critical_line("gelu", [1.0, 0.2])


def printed(title):
    """Return the cells of the table under a title of the page, by activation."""
    text = PAGE.read_text(encoding="utf-8").split(f"**{title}**", 1)[1]
    rows = re.findall(r"^\| (\w+) \|(.*)\|$", text.split("\n\n")[1], re.M)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_printed_table(name):
    """The tables of docs/theory.md agree with the functions."""
    gains, variances, slopes = (
        printed(title)[name] for title in ("Critical gain", "Variance q*", "Slope χ_∥")
    )
    for bias_std, *cells in zip(BIASES, gains, variances, slopes, strict=True):
        try:
            gain = critical_gain(name, bias_std)
        except ValueError:
            assert cells == ["jump"] * 3
            continue
        expected = [f"{gain:.6f}", f"{gain.q_star:.6g}", f"{gain.chi_parallel:.6f}"]
        assert cells == [text.replace("inf", "∞") for text in expected]
