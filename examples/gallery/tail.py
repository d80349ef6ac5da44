"""
Is it log-normal?
=================

For a ReLU network the law of the gradient norm is known exactly. A log-normal law fits the
centre and misses the tail: the lower tail is heavier.
"""

from matplotlib import pyplot

import vgsim

net = vgsim.MLP(depth=100, width=16, activation="relu")
samples = vgsim.simulate(net, 50_000, layers=[0])
figure, axes = pyplot.subplots(1, 3, figsize=(10, 3), layout="constrained")
for kind, ax in zip(("histogram", "qq", "survival"), axes, strict=True):
    samples.plot(kind, ax=ax)
