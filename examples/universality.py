"""Universality: the variance of the weights counts, not their law, until the tails are heavy.

R = log10(‖G_0‖/‖G_D‖) is the gradient norm at the input relative to that at the output, in decades.
All laws have the variance 2/n of He's initialisation. The last column is the kurtosis E w⁴/(E w²)²,
3 for normal weights.
"""

from typing import Any

import vgsim
from vgsim import theory
from vgsim.typing import LawName

Law = tuple[LawName, dict[str, Any], float]  # name, parameters, kurtosis

WIDTH, DEPTHS, NETWORKS = 100, (20, 40, 80), 300
THRESHOLD = 0.1

six_laws: dict[str, Law] = {
    "normal": ("he_normal", {}, 3),
    "uniform": ("he_uniform", {}, 1.8),
    "truncated normal": ("truncated_normal", {"scale": 2}, 2.06),
    "Laplace": ("laplace", {"scale": 2}, 6),
    "Rademacher": ("rademacher", {"scale": 2}, 1),
    "sparse, density 0.5": ("sparse", {"density": 0.5, "scale": 2}, 6),
}
heavy_tails: dict[str, Law] = {
    "Student, df 5": ("student_t", {"df": 5, "scale": 2}, 9),
    "Student, df 3": ("student_t", {"df": 3, "scale": 2}, float("inf")),
    "Student, df 2.1": ("student_t", {"df": 2.1, "scale": 2}, float("inf")),
    "sparse, density 0.1": ("sparse", {"density": 0.1, "scale": 2}, 30),
    "sparse, density 0.02": ("sparse", {"density": 0.02, "scale": 2}, 150),
}


def network(depth: int, init: LawName = "he_normal", **parameters: Any) -> vgsim.MLP:
    """Return a plain ReLU network with weights of this law."""
    law = vgsim.Initializer(init, **parameters)
    return vgsim.MLP(depth, WIDTH, activation="relu", init=law)


def row(name: str, init: LawName, parameters: dict[str, Any], kurtosis: float) -> str:
    """Return P(R < log10 THRESHOLD) at every depth, as a line of a table."""
    line = f"{name:22}"
    for depth in DEPTHS:
        net = network(depth, init, **parameters)
        samples = vgsim.simulate(net, NETWORKS, layers=[0], engine="dense", seed=1)
        line += f" {samples.probability('vanishing', threshold=THRESHOLD).estimate:7.3f}"
    return f"{line} {kurtosis:9.3g}"


print(f"P(R < -1), ReLU networks of width {WIDTH}, {NETWORKS} networks each")
print(f"{'layers':22}" + "".join(f" {depth:7}" for depth in DEPTHS) + "  kurtosis")
laws = [theory.exact_law(network(depth)) for depth in DEPTHS]
exact = [law.probability("vanishing", THRESHOLD) for law in laws]
print(f"{'theory, normal':22}" + "".join(f" {p:7.3f}" for p in exact) + "         3")
for name, law in six_laws.items():
    print(row(name, *law))
print("\nHeavy tails:")
for name, law in heavy_tails.items():
    print(row(name, *law))
