"""
Probability of vanishing against depth
======================================

Six activations, each with the initialisation that textbooks pair it with. Bands are 95 %
intervals; dashed lines are theory, where there is one.
"""

import vgsim

activations = ["sigmoid", "tanh", "relu", "gelu", "elu", "selu"]
depths = [5, 10, 20, 50, 100, 200, 500, 1000]
networks = vgsim.sweep(vgsim.MLP, width=64, activation=activations, depth=depths)
study = vgsim.collect(networks, max_samples=1000)
study.plot(x="depth", hue="activation")
