"""
Back-propagated gradients by layer
==================================

The histograms that made the problem known: entries of the gradient of one network at several
layers. With the old standard initialisation, uniform on ±1/√n, they shrink towards the input.
"""

import vgsim

net = vgsim.MLP(depth=5, width=1000, activation="tanh", init="lecun_uniform", gain=3**-0.5)
gradients = vgsim.replay(net, batch_size=10).gradients()
ax = None
for layer in (5, 4, 3, 2, 1):
    entries = gradients[layer].ravel()
    ax = vgsim.plotting.histogram(entries, label=f"layer {layer}", xlabel="gradient", ax=ax).axes
