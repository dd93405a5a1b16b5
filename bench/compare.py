"""Runs the workloads on every target in turn, round after round, so that a drift of the machine hits all alike.

    compare.py --targets passthrough,gocryptfs,coffer --rounds 3 --out FILE.json [--scale 1] [--work DIR] [--only NAME,...]

Figures are medians over the rounds; ratios are made within a round, and their medians taken. Ends non-zero where a figure is missing.
"""

import json
import os
import signal
import statistics
import sys

import targets
import workloads


def arguments():
    parser = targets.arguments(__doc__)
    parser.add_argument("--targets", default="passthrough,gocryptfs,coffer,coffer-kms,coffer-dsse")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="")
    return parser.parse_args()


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else float("nan")


def ratios(of, to):
    return [a / b for a, b in zip(of, to) if a and b]


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float("nan")


def measure(chosen, names, rounds, scale, keep):
    """keep(found, rounds) is called after each round: one that is interrupted leaves those before it."""
    found = {name: {target.name: [] for target in chosen} for name in names}
    for done in range(rounds):
        for target in chosen:
            target.up()
        for name in names:
            function, _ = workloads.ALL[name]
            for target in chosen:
                try:
                    figure = function(target, scale)
                except (OSError, RuntimeError, AssertionError) as error:
                    print(f"{name} on {target.name}: {error}", file=sys.stderr)
                    figure = None
                found[name][target.name].append(figure)
        for target in chosen:
            target.down()
        keep(found, done + 1)
    return found


def table(found, chosen):
    lines = [f"{'workload':20s}" + "".join(f"{target:>16s}" for target in chosen)]
    for name, by_target in found.items():
        lines.append(f"{name:20s}" + "".join(f"{median(by_target[target]):16.1f}" for target in chosen))
    return "\n".join(lines)


def main():
    asked = arguments()
    names = asked.only.split(",") if asked.only else workloads.BESIDE_PEERS
    os.makedirs(asked.work, exist_ok=True)
    chosen = [targets.make(name, asked.work) for name in asked.targets.split(",")]

    def keep(found, rounds):
        with open(asked.out, "w") as file:
            json.dump({"work": asked.work, "rounds": rounds, "scale": asked.scale, "load": os.getloadavg(), "figures": found}, file, indent=1)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        found = measure(chosen, names, asked.rounds, asked.scale, keep)
    finally:
        for target in chosen:
            target.give_up()
    print(table(found, [target.name for target in chosen]))
    sys.exit(any(figure is None for by_target in found.values() for figures in by_target.values() for figure in figures))


if __name__ == "__main__":
    main()
