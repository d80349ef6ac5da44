"""
Probability of vanishing against depth
======================================

Six activations, each with the initialisation that textbooks pair it with. Bands are 95 %
intervals; dashed lines are theory, where there is one.
"""

import vgsim

activations = ["sigmoid", "tanh", "relu", "gelu", "elu", "selu"]
depths = [5, 7, 10, 14, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000, 1400, 2000]
networks = vgsim.sweep(vgsim.MLP, width=64, activation=activations, depth=depths)
study = vgsim.collect(networks, max_samples=1000)
study.plot(x="depth", hue="activation")
