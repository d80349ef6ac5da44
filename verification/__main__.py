"""Compare simulated networks with theory: ``python -m verification [names] [--quick]``.

Every line has a measured value ± its standard error, the prediction of theory ± the terms that a
limit of infinite width, depth or batch neglects, and the difference in standard errors. The exit
status is 1 if a difference exceeds four standard errors plus the neglected terms.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

PARTS = (
    "weights",
    "spectrum",
    "normalisation",
    "skips",
    "composed",
    "composed_law",
    "chain",
    "sweep",
    "criticality",
    "recurrent",
    "finite_width",
)
PICTURES = Path(__file__).parent / "pictures"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m verification",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer networks, less than a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--pictures", action="store_true", help=f"also write {PICTURES.name}/NAME.png"
    )
    arguments = parser.parse_args()
    if not set(arguments.names) <= set(PARTS):
        parser.error(f"the names are {', '.join(PARTS)}")

    failed = 0
    for name in arguments.names or PARTS:
        part = importlib.import_module(f"verification.{name}")
        print(f"\n{name}", flush=True)
        for comparison in part.comparisons(arguments.seed, arguments.quick):
            print(f"  {comparison}", flush=True)
            failed += not comparison.holds
        if arguments.pictures:
            draw(part, name, arguments.seed)
    print(f"\n{failed} failed" if failed else "\nall agree")
    return 1 if failed else 0


def draw(part, name: str, seed: int) -> None:
    """Write the picture of a part to its file."""
    from matplotlib.figure import Figure

    PICTURES.mkdir(exist_ok=True)
    figure = Figure(figsize=(8, 5), layout="constrained")
    part.picture(figure, seed)
    figure.savefig(PICTURES / f"{name}.png", dpi=120)
    print(f"  picture: {PICTURES / f'{name}.png'}")


if __name__ == "__main__":
    sys.exit(main())
