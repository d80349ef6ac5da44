"""Probability of a vanishing gradient against depth, with images of handwritten digits as inputs.

Needs scikit-learn, which contains the images: pip install scikit-learn
"""

from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

import vgsim
from vgsim.typing import ActivationName, InitializerName

images = StandardScaler().fit_transform(
    load_digits(return_X_y=True)[0]
)  # (1797, 64), mean 0, variance 1
INITIALIZERS: dict[ActivationName, InitializerName] = {
    "sigmoid": "glorot_normal",
    "tanh": "glorot_normal",
    "relu": "he_normal",
}

print("P(‖G_0‖/‖G_D‖ < 1e-6), 95 % interval, width 64")
print(f"{'':8}  {'depth':>5}  {'digits as inputs':>24}  {'normal inputs':>24}")
for activation, init in INITIALIZERS.items():
    for depth in (10, 30, 100, 300, 1000):
        network = vgsim.MLP(depth, images.shape[1], activation=activation, init=init)
        row = f"{activation:8}  {depth:5}"
        for inputs in (images, "normal"):
            samples = vgsim.simulate(network, 2000, seed=0, inputs=inputs, layers=[0])
            p = samples.probability("vanishing", threshold=1e-6)
            row += f"  {p.estimate:7.4f} [{p.low:6.4f}, {p.high:6.4f}]"
        print(row)
