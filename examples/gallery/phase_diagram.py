"""
Order and chaos
===============

Tanh networks by the scale of weights and biases: on the left of the critical line the gradient
vanishes, on the right it explodes.
"""

import numpy as np

import vgsim

gains, biases = np.linspace(0.6, 2.2, 17).round(2), np.linspace(0, 0.6, 13).round(2)
networks = vgsim.sweep(
    vgsim.MLP, depth=100, width=64, init="lecun_normal", gain=gains, bias_std=biases
)
study = vgsim.collect(networks, max_samples=100)
study.plot(x="gain", y="bias_std", value="median")
