"""What a single short run takes besides its work: start, imports, settings, the tracking store.

    python benchmarks/startup.py [--against CHECKOUT] [--repeats 5] [SETTING ...]

Runs ``python -m rsa_exp subject=1 inference=none`` on the simulated study, in a new folder, whose
store is made, and then in the same folder again. Work is the ``seconds`` in ``provenance.json``;
overhead is the rest of the whole command. The best of the repeats is shown. Another checkout of
this repository is measured in turns with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from measure import run, warm

from rsa_exp.datasets.simulation import simulate_study

CHECKOUT = Path(__file__).resolve().parent.parent


def measure(checkout: Path, settings: list[str], folder: Path) -> tuple[float, float, float]:
    """Run the command once with the code of a checkout.

    Returns
    -------
    whole, work, memory : float
        Seconds of the command, seconds of its stages, and peak memory in GB.
    """
    os.environ["PYTHONPATH"] = str(checkout)
    before = set(folder.glob("outputs/*/*"))
    command = [sys.executable, "-m", "rsa_exp", "subject=1", "inference=none", *settings]
    _, whole, memory = run(command, folder)
    (made,) = set(folder.glob("outputs/*/*")) - before
    record = json.loads((made / "provenance.json").read_text(encoding="utf-8"))
    return whole, sum(record["seconds"].values()), memory


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("settings", nargs="*", help="further settings, such as figures=none")
    given = parser.parse_args()
    checkouts = {"this": CHECKOUT} | ({"other": given.against.resolve()} if given.against else {})
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as root:
        study = simulate_study(Path(root) / "simulated", 1000, 0)
        warm(study)
        settings = [f"data.root={study.parent}", *given.settings]
        for i in range(given.repeats):
            for name, checkout in checkouts.items():
                folder = Path(root) / f"{name}-{i}"
                folder.mkdir()
                for store in ("new", "existing"):
                    once = measure(checkout, settings, folder)
                    found.setdefault((name, store), []).append(once)
    print(f"best of {given.repeats}, {os.cpu_count()} cores\n")
    print("| checkout | store | whole command, s | work, s | overhead, s | memory |")
    print("|---|---|---|---|---|---|")
    for (name, store), runs in sorted(found.items(), key=lambda item: item[0][1]):
        whole, work, memory = min(runs, key=lambda each: each[0] - each[1])
        cells = [name, store, f"{whole:.2f}", f"{work:.2f}", f"{whole - work:.2f}"]
        print(f"| {' | '.join([*cells, f'{memory:.2f} GB'])} |")


if __name__ == "__main__":
    main()
