"""
Transformers
============

The gradient at the input of transformers of 2 to 64 sublayers. With normalisation before each
branch it grows slowly with depth, alike in all networks. With normalisation after each sum it keeps
its median, and varies more and more between networks.
"""

import vgsim

norm, wide = vgsim.Norm("layer"), vgsim.Linear(256, init="he_normal")
attention, mlp = vgsim.Attention(4, causal=True), [wide, "gelu", vgsim.Linear(64)]
pre = [vgsim.Skip([norm, attention]), vgsim.Skip([norm, *mlp])]
post = [[vgsim.Skip([attention]), norm], [vgsim.Skip(mlp), norm]]
networks = {
    "pre-norm": vgsim.Sequential(64, pre, tokens=16),
    "post-norm": vgsim.Sequential(64, post, tokens=16),
}
ax = None
for name, network in networks.items():
    curve = vgsim.depth_curve(network, (2, 8, 32, 64), 200)
    ax = curve.plot("quantiles", label=name, ax=ax).axes
