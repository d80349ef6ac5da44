"""Composed networks in NumPy, with dense matrices, read from the lists of `vgsim.Sequential`."""

from scipy.special import expit

import vgsim


def dense(network, rng, cosine=None, columns=1):
    """Return X_0 … X_D and G_0 … G_D of one random network, for normal inputs and G_D.

    With `cosine` there are two columns, whose inputs have that cosine.
    """
    x = rng.standard_normal((network.width, 2 if cosine is not None else columns))
    if cosine is not None:
        x[:, 1] = cosine * x[:, 0] + (1 - cosine**2) ** 0.5 * x[:, 1]
    places, ways = [x], []
    for layer in network.layers:
        x, back = applied(layer, x, rng)
        places.append(x)
        ways.append(back)
    gradients = [rng.standard_normal(x.shape)]
    for back in reversed(ways):
        gradients.insert(0, back(gradients[0]))
    return places, gradients


def applied(layer, x, rng):
    """Return the output of a layer and the map from the gradient by it to that by x."""
    if isinstance(layer, vgsim.Activation):
        y, slope = layer.value(x), layer.derivative(x)
        return y, lambda g: slope * g
    if isinstance(layer, vgsim.Linear):
        return linear(layer, layer.width or len(x), layer.gain, layer.bias_std, x, rng)
    if isinstance(layer, vgsim.Norm):
        return normalised(layer, x)
    if isinstance(layer, vgsim.Dropout):
        mask = (rng.random(x.shape) >= layer.rate) / (1 - layer.rate)
        return mask * x, lambda g: mask * g
    if isinstance(layer, vgsim.Skip):
        y, inner = chained(layer.layers, x, rng)
        return layer.skip * x + layer.branch * y, lambda g: layer.skip * g + inner(layer.branch * g)
    if isinstance(layer, vgsim.Gate):
        return gated(layer, x, rng)
    if isinstance(layer, vgsim.Attention):  # of one token
        v, back = linear(layer, len(x), layer.value_gain or layer.gain, layer.bias_std, x, rng)
        y, first = linear(layer, len(x), layer.output_gain or layer.gain, layer.bias_std, v, rng)
        return y, lambda g: back(first(g))
    return chained(layer, x, rng)


def chained(layers, x, rng):
    ways = []
    for layer in layers:
        x, back = applied(layer, x, rng)
        ways.append(back)

    def back(g):
        for way in reversed(ways):
            g = way(g)
        return g

    return x, back


def linear(layer, n, gain, bias_std, x, rng):
    w = gain * layer.init.weight_std(len(x), n) * rng.standard_normal((n, len(x)))
    return w @ x + bias_std * rng.standard_normal((n, 1)), lambda g: w.T @ g


def normalised(layer, x):
    axis = 1 if layer.kind == "batch" else 0
    centre = 0.0 if layer.kind == "rms" else x.mean(axis=axis, keepdims=True)
    std = (((x - centre) ** 2).mean(axis=axis, keepdims=True) + layer.eps) ** 0.5
    y = (x - centre) / std

    def back(g):
        g = g - y * (g * y).mean(axis=axis, keepdims=True)
        return (g if layer.kind == "rms" else g - g.mean(axis=axis, keepdims=True)) / std

    return y, back


def gated(layer, x, rng):
    h, back_h = linear(layer, len(x), layer.gain, 0.0, x, rng)
    t = expit(h + layer.bias)
    y, inner = chained(layer.layers, x, rng)

    def back(g):
        return inner(t * g) + (1 - t) * g + back_h(t * (1 - t) * (y - x) * g)

    return t * y + (1 - t) * x, back
