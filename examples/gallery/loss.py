"""
The loss of many networks
=========================

Quantiles of the loss over a hundred random networks against the step: two layers of sigmoids learn
within a hundred steps, and of six layers some need three hundred and others have hardly begun.
"""

from sklearn.datasets import load_digits

import vgsim

X, y = load_digits(return_X_y=True)
data, layer, ax = ((X - X.mean()) / X.std(), y), [vgsim.Linear(16), "sigmoid"], None
for depth in (2, 6):
    net = vgsim.Sequential(64, [layer] * depth + [vgsim.Linear(10)])
    training = vgsim.train(net, 100, data=data, steps=300, optimizer="adam", learning_rate=0.01)
    ax = training.plot("loss", label=f"{depth} layers", ax=ax).axes
