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
figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
samples.plot("histogram", ax=axes[0])
samples.plot("qq", ax=axes[1])
samples.plot("survival", ax=axes[2])
