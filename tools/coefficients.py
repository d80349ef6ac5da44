"""Print src/vgsim/_csrc/vg_coefficients.h: the polynomials of the kernels' elementary functions.

Each table has the monomial coefficients, lowest degree first, of the Chebyshev interpolant of a
smooth function, computed by mpmath with 60 digits. The comment above it gives the largest error
relative to `scale`, with the coefficients rounded to the type. Run with

    python tools/coefficients.py > src/vgsim/_csrc/vg_coefficients.h
"""

import numpy as np
from mpmath import mp, mpf

mp.dps = 60


def chebyshev_interpolant(function, low, high, degree):
    """Return the monomial coefficients of the interpolant at degree + 1 Chebyshev nodes."""
    n = degree + 1
    middle, half = (mpf(low) + high) / 2, (mpf(high) - low) / 2
    nodes = [middle + half * mp.cos(mp.pi * (k + mpf(1) / 2) / n) for k in range(n)]
    divided = [function(x) for x in nodes]
    for order in range(1, n):
        for k in range(n - 1, order - 1, -1):
            divided[k] = (divided[k] - divided[k - 1]) / (nodes[k] - nodes[k - order])
    coefficients = [mpf(0)] * n
    for k in range(n - 1, -1, -1):  # Newton form to monomials, innermost bracket first
        coefficients = [
            (coefficients[i - 1] if i else mpf(0)) - nodes[k] * coefficients[i] for i in range(n)
        ]
        coefficients[0] += divided[k]
    return coefficients


def largest_error(function, coefficients, low, high, scale):
    points = [mpf(low) + (mpf(high) - low) * k / 400 for k in range(401)]
    return max(abs(mp.polyval(coefficients[::-1], x) - function(x)) / abs(scale(x)) for x in points)


def table(name, function, low, high, degrees, scale=None):
    for bits, real, literal, degree in zip(
        (32, 64), (np.float32, np.float64), "f ", degrees, strict=True
    ):
        if degree is None:
            continue
        rounded = [real(float(c)) for c in chebyshev_interpolant(function, low, high, degree)]
        exact = [mpf(float(c)) for c in rounded]
        error = float(largest_error(function, exact, low, high, scale or function))
        values = ", ".join(float(c).hex() + literal.strip() for c in rounded)
        kind = {32: "float", 64: "double"}[bits]
        print(f"/* {name}, {bits} bits: error {error:.1e} = 2^{np.log2(error):.1f} */")
        print(f"static const {kind} {name}_{bits}[] = {{{values}}};")


def at_zero(function, limit):
    return lambda x: mpf(limit) if abs(x) < mpf(10) ** -20 else function(x)


def log1p_tail(f):  # log(1 + f) = f + f² · this
    return (mp.log1p(f) - f) / f**2


def log_ratio_tail(w):  # log((1 + s)/(1 − s)) = 2 s + s · w · this, w = s²
    s = mp.sqrt(w)
    return (2 * mp.atanh(s) / s - 2) / w


def minus_two(function):  # −2 log(1 + f) = f (−2 + f · this), or −4 s + s · w · this
    return lambda x: -2 * function(x)


def exp2_ratio(f):  # 2^f − 1 = f · this
    return mp.expm1(f * mp.log(2)) / f


def erf_ratio(w):  # erf(x) = x · this(x²)
    x = mp.sqrt(w)
    return mp.erf(x) / x


def sine_quarter(w):  # sin(π x/4) = x · this(x²)
    x = mp.sqrt(w)
    return mp.sin(mp.pi * x / 4) / x


def cosine_quarter(w):  # cos(π x/4) = this(x²)
    return mp.cos(mp.pi * mp.sqrt(w) / 4)


MILLS_CENTRE = 4


def scaled_erfc(t):  # (x + K) exp(x²) erfc(x), x = K (1 + t)/(1 − t)
    if t > 1 - mpf(10) ** -20:
        return 1 / mp.sqrt(mp.pi)
    x = MILLS_CENTRE * (1 + t) / (1 - t)
    if x > 1e6:
        return (x + MILLS_CENTRE) / (x * mp.sqrt(mp.pi)) * (1 - 1 / (2 * x * x))
    with mp.workdps(60):
        if x < 60:
            with mp.workdps(60 + int(x * x / 2.3)):
                return (x + MILLS_CENTRE) * mp.exp(x * x) * mp.erfc(x)
        series = sum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(25))
        return (x + MILLS_CENTRE) / (x * mp.sqrt(mp.pi)) * series


def truncated_normal_ratio(w):  # Φ⁻¹(½ + v c/2) = v · this(w), c = erf(√2), w = −log(1 − c² v²)
    v = mp.sqrt(-mp.expm1(-w)) / mp.erf(mp.sqrt(2))
    return mp.sqrt(2) * mp.erfinv(v * mp.erf(mp.sqrt(2))) / v


def main():
    print("/* Written by tools/coefficients.py: lowest degree first. */")
    print("#ifndef VG_COEFFICIENTS_H\n#define VG_COEFFICIENTS_H\n")
    root = mp.sqrt(2)
    table(
        "LOG1P",
        at_zero(log1p_tail, -0.5),
        1 / root - 1,
        root - 1,
        (7, None),
        scale=lambda f: 1 / f if abs(f) > 1e-15 else mpf(10) ** 9,
    )
    limit = ((root - 1) / (root + 1)) ** 2
    table(
        "LOG_RATIO",
        at_zero(log_ratio_tail, mpf(2) / 3),
        0,
        limit,
        (None, 6),
        scale=lambda w: 2 / w if abs(w) > 1e-15 else mpf(10) ** 9,
    )
    table(
        "RADIUS",
        minus_two(at_zero(log1p_tail, -0.5)),
        1 / root - 1,
        root - 1,
        (6, None),
        scale=lambda f: 2 / f if abs(f) > 1e-15 else mpf(10) ** 9,
    )
    table(
        "RADIUS",
        minus_two(at_zero(log_ratio_tail, mpf(2) / 3)),
        0,
        limit,
        (None, 6),
        scale=lambda w: 4 / w if abs(w) > 1e-15 else mpf(10) ** 9,
    )
    table("EXP2", at_zero(exp2_ratio, mp.log(2)), mpf(-1) / 2, mpf(1) / 2, (5, 10))
    table("SIN", at_zero(sine_quarter, mp.pi / 4), 0, 1, (3, 6))
    table("COS", cosine_quarter, 0, 1, (3, 7))
    table("ERF", at_zero(erf_ratio, 2 / mp.sqrt(mp.pi)), 0, 1, (6, 12))
    table("ERFCX", scaled_erfc, -1, 1, (11, 23))
    cut = -mp.log(mp.erfc(root) * (1 + mp.erf(root)))
    table(
        "TRUNCATED",
        at_zero(truncated_normal_ratio, mp.erf(root) * mp.sqrt(mp.pi / 2)),
        0,
        cut,
        (6, 15),
    )
    print("\n#endif")


if __name__ == "__main__":
    main()
