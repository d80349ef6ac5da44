"""P(vanishing gradient) of a million networks, by activation, width and depth.

    python examples/study.py [STORE] [SAMPLES]

The file STORE (default study.sqlite) keeps the finished blocks of samples; run the script again to
continue an interrupted study. SAMPLES (default 10000) is the number of samples per network.
study.toml is the same study for the command line.
"""

import sys
import time

import vgsim

ACTIVATIONS = ["sigmoid", "tanh", "relu", "selu"]  # with their textbook initialisers
WIDTHS = [16, 32, 64, 128, 256]
DEPTHS = [10, 30, 100, 300, 1000]


def main(store: str = "study.sqlite", samples: str = "10000") -> None:
    networks = vgsim.sweep(vgsim.MLP, activation=ACTIVATIONS, width=WIDTHS, depth=DEPTHS)
    began = time.monotonic()
    study = vgsim.collect(networks, max_samples=int(samples), store=store, progress=True)
    seconds = time.monotonic() - began

    print("P(‖G_0‖/‖G_D‖ < 1e-6), by depth")
    print(f"{'activation':10}  {'width':>5}" + "".join(f"  {depth:>6}" for depth in DEPTHS))
    for activation in ACTIVATIONS:
        for width in WIDTHS:
            results = study.find(activation=activation, width=width)
            p = [result.probability("vanishing").estimate for result in results]
            print(f"{activation:10}  {width:5}" + "".join(f"  {estimate:6.4f}" for estimate in p))
    n = sum(result.n for result in study)
    print(f"{n:,} networks in {seconds:.1f} s of wall time; intervals: vgsim show {store}")


if __name__ == "__main__":
    main(*sys.argv[1:])
