"""
The gradient along the layers
=============================

Batch normalisation keeps the activations, and makes the gradient grow from layer to layer. The
fan shows quantiles over 500 networks, and the dashed line is mean-field theory.
"""

import vgsim

net = vgsim.MLP(depth=50, width=128, activation="relu", norm="batch")
vgsim.simulate(net, 500, batch_size=32).profile().plot()
