"""
Probability to learn against depth
==================================

Networks of 16 units per layer on images of digits, 300 steps of Adam: the share whose loss falls
below half of that of the best constant prediction. Depth counts the linear read-out; bands are
95 % intervals.
"""

from sklearn.datasets import load_digits

import vgsim

X, y = load_digits(return_X_y=True)
data = ((X - X.mean()) / X.std(), y)
networks = []
for activation in ("sigmoid", "tanh"):
    layer = [vgsim.Linear(16, init="glorot_normal"), activation]
    networks += [vgsim.Sequential(64, [layer] * n + [vgsim.Linear(10)]) for n in (2, 4, 6, 8)]
study = vgsim.train(networks, 100, data=data, steps=300, optimizer="adam", learning_rate=0.01)
study.plot(x="depth", hue="layers__0__1")  # the second of the first layer: its activation
