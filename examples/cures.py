"""Effect of textbook techniques on the gradient of networks of 10, 100 and 1000 layers.

R = log10(‖G_0‖/‖G_D‖) is the gradient norm at the input relative to that at the output, in decades.
The gradient has vanished if R < −6, and exploded if R > 6.
"""

import math
from typing import Any

import vgsim

RELU: dict[str, Any] = {"activation": "relu", "init": "he_normal"}
CHAOS: dict[str, Any] = {"init": "lecun_normal", "gain": 3.0}
SCALED = vgsim.Residual(2, branch="1/sqrt(blocks)", style="pre")

networks: dict[str, dict[str, Any]] = {
    "sigmoid": {"activation": "sigmoid"},
    "tanh": {},
    "ReLU, Glorot": {"activation": "relu", "init": "glorot_normal"},
    "ReLU, He": RELU,
    "ReLU, orthogonal": {"activation": "relu", "init": "orthogonal", "gain": math.sqrt(2)},
    "ReLU, layer norm": RELU | {"norm": "layer"},
    "ReLU, batch norm, 8 examples": RELU | {"norm": "batch"},
    "ReLU, residual": RELU | {"residual": vgsim.Residual(2, style="pre")},
    "ReLU, residual, 1/√blocks": RELU | {"residual": SCALED},
    "sigmoid, highway −2": {"activation": "sigmoid", "highway": vgsim.Highway(-2)},
    "sigmoid, highway −4": {"activation": "sigmoid", "highway": vgsim.Highway(-4)},
    "sigmoid, clipped": {"activation": "sigmoid", "clip": vgsim.ClipNorm(1)},
    "tanh, gain 3": CHAOS,
    "tanh, gain 3, clipped": CHAOS | {"clip": vgsim.ClipNorm(1)},
}

print("Median of R, and for 1000 layers P(R < −6) and P(R > 6); width 128, 100 networks")
print(f"{'layers':30} {10:>7} {100:>7} {1000:>7}   vanish explode")
for name, fields in networks.items():
    batch_size = 8 if fields.get("norm") == "batch" else 1
    row = f"{name:30}"
    for depth in (10, 100, 1000):
        network = vgsim.MLP(depth, 128, **fields)
        samples = vgsim.simulate(network, 100, batch_size=batch_size, layers=[0])
        row += f" {round(samples.quantile(0.5), 1) + 0.0:7.1f}"  # no −0.0
    for event in ("vanishing", "exploding"):
        row += f" {samples.probability(event).estimate:7.2f}"
    print(row)
