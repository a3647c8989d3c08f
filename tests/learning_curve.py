#!/usr/bin/env python3
"""How much of the full-information router's utility a router learns from a log of N rounds.

    cargo build --workspace --bins
    tests/learning_curve.py DATA [SET...] [--out DIR] [--rounds 300,1000,3000,10000,30000] [--seeds 3]

DATA holds one folder per set with a logs.parquet (`datasets import` makes them). Needs only the
standard library. A log is N rounds: prompts drawn from the table with replacement, one model each,
under a known policy. Five fold routers are fitted on it, and each is judged on the prompts of its
held-out fold, every answer known; so is the router of full information, at the same λ. Utility is
quality − λ · cost / cost of the best single model, whose λ = 0.1 is the evaluator's for regret.
Writes learning-curve.json and learning-curve.svg.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

SETS = {
    "zeroeval": "priced,complete,!o1-*",
    "bfcl": "priced,complete",
}
COLORS = ["#3b6fb6", "#c2572b", "#4c8c4a", "#8a5fa8"]


def run(command):
    process = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{process.stderr}")
    return process.stdout


def read(path):
    return json.loads(Path(path).read_text())


class Bench:
    """One set, with its full-information router."""

    def __init__(self, binaries, logs, models, lam, folder):
        self.binaries, self.logs, self.models, self.folder = binaries, logs, models, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.lam = lam
        target = ["--target", f"lambda={lam}"]
        full = folder / "full"
        run([
            binaries / "trainer", "fit", logs, "--models", models, "--cross-fit", "fold", *target,
            "--out", full,
        ])
        self.reference = read(full / "metrics.json")["reference"]
        self.at = [*target, "--reference", self.reference]
        report = self.judge(full)
        self.costs = {model["id"]: model for model in report["models"]}
        self.quality = self.costs[self.reference]["quality"]
        self.utility_full = self.utility(report)
        self.single = max(
            model["quality"] - self.lam * model["cost_usd"] / self.costs[self.reference]["cost_usd"]
            for model in report["models"]
        )

    def judge(self, router):
        out = self.folder / "report"
        run([
            self.binaries / "evaluator", "benchmark", self.logs, "--router", router,
            "--models", self.models, "--replicates", "20", "--out", out,
        ])
        return read(out / "report.json")

    def utility(self, report):
        point = report["routers"][0]["validated"]["balanced"]
        return point["retention"]["value"] * self.quality - self.lam * point["cost_ratio"]["value"]

    def learned(self, n_rounds, seed, policy, more):
        """Ratio of utilities of a router that learned from a log."""
        log, router = self.folder / "log.parquet", self.folder / "router"
        run([
            self.binaries / "datasets", "simulate", "--from", self.logs, "--select", self.models,
            "--rounds", n_rounds, "--seed", seed, "--log", policy, "--output", log,
        ])
        shutil.rmtree(router, ignore_errors=True)
        run([
            self.binaries / "trainer", "fit", log, "--cross-fit", "fold", *self.at, *more,
            "--out", router,
        ])
        return self.utility(self.judge(router)) / self.utility_full


def figure(results, path):
    """The curves, as SVG: rounds in the logarithm, ratio of utilities."""
    import math

    width, height, left, bottom, top = 640, 400, 60, 50, 20
    rounds = sorted({point["rounds"] for result in results for point in result["points"]})
    low = min(min(p["ratios"]) for r in results for p in r["points"])
    low = min(0.9, math.floor(low * 20) / 20)
    high = 1.02
    span = max(math.log(rounds[-1] / rounds[0]), 1e-9)

    def x(n):
        return left + (width - left - 20) * math.log(n / rounds[0]) / span

    def y(ratio):
        return top + (height - top - bottom) * (high - ratio) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for ratio in [low + (1 - low) * i / 4 for i in range(5)] + [0.95]:
        dash = ' stroke-dasharray="4 3"' if ratio == 0.95 else ""
        color = "#888" if ratio == 0.95 else "#ddd"
        parts.append(
            f'<line x1="{left}" x2="{width - 20}" y1="{y(ratio):.1f}" y2="{y(ratio):.1f}" '
            f'stroke="{color}"{dash}/>'
            f'<text x="{left - 6}" y="{y(ratio) + 4:.1f}" text-anchor="end">{100 * ratio:.0f} %</text>'
        )
    for n in rounds:
        parts.append(
            f'<text x="{x(n):.1f}" y="{height - bottom + 18}" text-anchor="middle">{n:,}</text>'
        )
    parts.append(
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">rounds in the log</text>'
        f'<text x="{left}" y="{top - 6}">utility, of the full-information router</text>'
    )
    for result, color in zip(results, COLORS):
        means = [(x(p["rounds"]), y(p["mean"])) for p in result["points"]]
        parts.append(
            f'<polyline fill="none" stroke="{color}" stroke-width="2" points="'
            + " ".join(f"{a:.1f},{b:.1f}" for a, b in means) + '"/>'
        )
        for point in result["points"]:
            for ratio in point["ratios"]:
                parts.append(
                    f'<circle cx="{x(point["rounds"]):.1f}" cy="{y(ratio):.1f}" r="2.5" '
                    f'fill="{color}" fill-opacity="0.6"/>'
                )
        at = y(result["best_single"])
        parts.append(
            f'<line x1="{left}" x2="{width - 20}" y1="{at:.1f}" y2="{at:.1f}" stroke="{color}" '
            'stroke-dasharray="1 4"/>'
        )
    for i, (result, color) in enumerate(zip(results, COLORS)):
        parts.append(
            f'<text x="{width - 24}" y="{height - bottom - 34 + 16 * i}" text-anchor="end" '
            f'fill="{color}">{result["set"]} (dotted: its best single model)</text>'
        )
    path.write_text("\n".join([*parts, "</svg>", ""]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--out", type=Path, default=Path("learning-curve"))
    parser.add_argument("--rounds", default="300,1000,3000,10000,30000")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--policy", default="uniform", help="as in `datasets simulate --log`")
    parser.add_argument("--lambda", dest="lam", type=float, default=0.1)
    parser.add_argument("--learn", help="as in `trainer fit --learn`")
    args = parser.parse_args()
    unknown = set(args.sets) - set(SETS)
    if unknown:
        parser.error(f"unknown sets: {', '.join(sorted(unknown))}")
    target = os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parent.parent / "target")
    binaries = Path(target) / "debug"
    more = ["--learn", args.learn] if args.learn else []

    results = []
    print("| set | rounds | utility of full information, per seed | mean |\n| --- | --- | --- | --- |")
    for name in args.sets or SETS:
        bench = Bench(binaries, args.data / name / "logs.parquet", SETS[name], args.lam, args.out / name)
        result = {
            "set": name,
            "policy": args.policy,
            "lambda": bench.lam,
            "utility_full": bench.utility_full,
            "best_single": bench.single / bench.utility_full,
            "points": [],
        }
        results.append(result)
        print(f"| {name} | best single model | | {100 * result['best_single']:.1f} % |", flush=True)
        for n_rounds in map(int, args.rounds.split(",")):
            ratios = [bench.learned(n_rounds, seed, args.policy, more) for seed in range(args.seeds)]
            mean = statistics.mean(ratios)
            result["points"].append({"rounds": n_rounds, "ratios": ratios, "mean": mean})
            each = ", ".join(f"{100 * ratio:.1f} %" for ratio in ratios)
            print(f"| {name} | {n_rounds:,} | {each} | {100 * mean:.1f} % |", flush=True)
            (args.out / "learning-curve.json").write_text(json.dumps(results, indent=2) + "\n")
            figure(results, args.out / "learning-curve.svg")


if __name__ == "__main__":
    main()
