"""
Heavy-tailed weights
====================

Weights of the same variance: with Student's law of few degrees of freedom the gradient varies
much more between networks, and vanishes more often.
"""

import vgsim

ax = None
for df in (2.1, 3, 5, 1000):
    law = vgsim.Initializer("student_t", df=df, scale=2)
    net = vgsim.MLP(depth=40, width=32, activation="relu", init=law)
    samples = vgsim.simulate(net, 2000, layers=[0])
    ax = samples.plot("survival", label=f"{df:g} degrees of freedom", ax=ax).axes
