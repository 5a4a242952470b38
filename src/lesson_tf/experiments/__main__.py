"""Run the experiments that are named, or all, and write their results: `make experiments`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from lesson_tf.experiments import (
    long_range,
    memory,
    order,
    parallelism,
    positions,
    scaling_law,
    small_data,
    tied_embeddings,
)
from lesson_tf.model_files import DATA
from lesson_tf.recipes import cook_all

EXPERIMENTS = {
    "positions": positions,
    "order": order,
    "tied_embeddings": tied_embeddings,
    "long_range": long_range,
    "scaling_law": scaling_law,
    "parallelism": parallelism,
    "memory": memory,
    "small_data": small_data,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiments side by side, and publish each one when its recipes are done."""
    parser = argparse.ArgumentParser(prog="make experiments", description=__doc__)
    parser.add_argument(
        "experiments", nargs="*", choices=[[], *EXPERIMENTS], help="all, if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="one seed and few steps, as a trial")
    parser.add_argument("--work", type=Path, default=Path("_build/experiments"))
    parser.add_argument("--data", type=Path, help="where the results go")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="recipes side by side")
    chosen = parser.parse_args(arguments)
    # What a trial measured must not take the place of the results that ship.
    data = chosen.data or (chosen.work / "quick" if chosen.quick else DATA / "experiments")
    chosen.work.mkdir(parents=True, exist_ok=True)
    names = chosen.experiments or list(EXPERIMENTS)
    wanted = {name: EXPERIMENTS[name].recipes(chosen.quick) for name in names}
    command = f"make experiments{' QUICK=1' if chosen.quick else ''}"
    for name, measured in cook_all(wanted, chosen.work, chosen.workers):
        EXPERIMENTS[name].publish(chosen.work, data, measured, command)


if __name__ == "__main__":
    main()
