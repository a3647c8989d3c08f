#!/usr/bin/env python3
"""Fits and judges a router on each public outcome table, and prints one Markdown table.

    cargo build --workspace --bins
    tests/public_benchmarks.py DATA [SET...] [--out DIR] [--left-out] [--seeds N]

DATA holds one folder per set with a logs.parquet (`datasets import` makes them). Needs only the
standard library. Every figure is from rows that the router did not see: five folds, or another
file where the table says so. `--left-out` leaves whole tasks or domains out instead: what is judged
is of a kind that no fit saw. `--seeds N` deals the folds N times anew; fits have no other chance
in them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# name: (fitted on, judged on, models, pairs (weak, strong) judged apart)
SETS = {
    "routellm_mmlu": ("routellm_mmlu", None, None, []),
    "routellm_gsm8k": ("routellm_gsm8k", None, None, []),
    "routerbench_subset": ("routerbench_subset", None, None, []),
    "zeroeval": (
        "zeroeval",
        None,
        "priced,complete,!o1-*",
        ["claude-3-haiku-20240307,claude-3-5-sonnet-20241022", "gpt-3.5-turbo-0125,gpt-4o-2024-08-06"],
    ),
    "zeroeval_o1_mini": ("zeroeval", None, "gpt-4o-mini-2024-07-18,o1-mini-2024-09-12", []),
    "paretobandit": ("paretobandit_val", "paretobandit_test", None, []),
    "bfcl": (
        "bfcl",
        None,
        "priced,complete",
        ["claude-3-haiku-20240307,claude-3-5-sonnet-20240620", "gpt-3.5-turbo-0125,gpt-4-0125-preview"],
    ),
    "ulab_llmrouter": ("ulab_llmrouter", None, None, []),
    "mmlu_pro": ("mmlu_pro", None, "priced,common", []),
    "routerdc_7b_english": ("routerdc_7b", None, "!task=cmmlu,!task=ceval", []),
    "livecodebench_codegen": (
        "livecodebench",
        None,
        "task=codegen,complete",
        ["Claude-3-Haiku,Claude-3.5-Sonnet-20241022", "GPT-4O-mini-2024-07-18,O1-Mini-2024-09-12 (N=1)"],
    ),
    "livecodebench_repair": (
        "livecodebench",
        None,
        "task=repair,complete",
        ["Claude-3-Haiku,Claude-3.5-Sonnet-20241022", "GPT-4O-mini-2024-07-18,O1-Mini-2024-09-12 (N=1)"],
    ),
    "debugbench": ("debugbench", None, None, []),
}
# set: folds of whole labels
LEFT_OUT = {
    "routellm_mmlu": "domain/5",
    "mmlu_pro": "domain",
    "ulab_llmrouter": "task",
    "routerdc_7b_english": "task",
}


def measured(command):
    """Runs a command; seconds and peak memory in MiB."""
    before = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return time.monotonic() - before, usage.ru_maxrss / 1024


def figure(metrics, *keys):
    """`value [low, high]`, or a dash where the metric does not apply."""
    for key in keys:
        metrics = metrics.get(key) if metrics else None
    if not metrics:
        return "–"
    ends = [f"{metrics[end]:.3f}" if metrics[end] is not None else "n/r" for end in ("low", "high")]
    return f"{metrics['value']:.3f} [{', '.join(ends)}]"


def kept(router, target):
    """What the operating point chosen in training kept, and what it cost."""
    point = router.get("validated", {}).get(f"retention={target}", {})
    if "cost_ratio" not in point:
        return "–"
    return f"{100 * point['retention']['value']:.1f} % for {100 * point['cost_ratio']['value']:.1f} %"


def main_figure(report):
    """The one that a set is about: routing between two models, cost, or quality alone."""
    metrics = report["routers"][0]["metrics"]
    titles = {"apgr": "APGR", "aiq": "AIQ", "quality_at_lambda0": "quality"}
    return next((key, title) for key, title in titles.items() if key in metrics)


def brief(name, report, _fit, _judge):
    """The columns of the table in README.md."""
    router = report["routers"][0]
    policies = {policy["name"]: policy["metrics"] for policy in report["baselines"]}
    metrics = router["metrics"]
    key, title = main_figure(report)
    others = [figure(policies.get(other, {}), key).split()[0] for other in ("zero_router", "lookup", "knn")]
    if key == "apgr":
        others[0] = "0.500"
    size = f"{report['n_requests']:,} × {len(report['models'])}"
    # A router for many models did not choose its points for two of them.
    points = ["–", "–"] if name.startswith("↳") else [kept(router, "0.95"), kept(router, "0.99")]
    return [name, size, title, figure(metrics, key), *others, *points]


BRIEF = "set, requests × models, figure, Sextant [95 %], zero router, lookup*, kNN, asked 95 %: kept, asked 99 %: kept"


def full(name, report, fit, judge):
    """Every figure that `routing-baselines` names."""
    router = report["routers"][0]
    metrics = router["metrics"]
    cost = "cost_ratio_at_retention"
    keys = [("apgr",), ("cpt50",), ("cpt80",), ("aiq",), (cost, "0.95"), (cost, "0.99"), ("hypervolume",)]
    keys += [("quality_at_lambda0",), ("gain_over_best_single",)]
    used = [f"{used[0]:.0f} s, {used[1]:.0f} MiB" if used else "" for used in (fit, judge)]
    size = [f"{report['n_requests']:,}", str(len(report["models"]))]
    figures = [figure(metrics, *key) for key in keys]
    return [name, *size, *figures, kept(router, "0.95"), kept(router, "0.99"), *used]


FULL = (
    "set, requests, models, APGR, CPT50, CPT80, AIQ, cost @.95, cost @.99, hypervolume, quality, "
    "gain over best single, asked 95 %: kept, asked 99 %: kept, fit, benchmark"
)


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def benchmark(binaries, data, name, folds, out, again):
    """Fits and judges; reports by label, with what they took."""
    fitted, judged, models, pairs = SETS[name]
    logs = data / fitted / "logs.parquet"
    selection = ["--models", models] if models else []
    fit = [binaries / "trainer", "fit", logs, "--out", out / "router", *selection]
    judge = [binaries / "evaluator", "benchmark", logs, "--router", out / "router", *selection]
    if judged is None:
        fit += ["--cross-fit", folds]
    else:
        judge[2] = data / judged / "logs.parquet"
        judge += ["--fit-data", logs]
    fit_cost = None if again else measured(fit)
    for pair in [None, *pairs]:
        report = out / "report" if pair is None else out / f"report-{pair.replace('/', '-')}"
        extra = ["--pair", pair] if pair else []
        cost = None if again else measured([*judge, *extra, "--out", report])
        content = json.loads((report / "report.json").read_text())
        label = f"↳ {' → '.join(pair.split(','))}" if pair else name
        yield label, content, None if pair else fit_cost, cost


def over_seeds(binaries, args, name):
    """Mean and standard deviation over deals of the folds, of the figure that the set is about."""
    values = {}
    for seed in range(1, args.seeds + 1):
        out = args.out / f"seed-{seed}" / name
        for label, content, *_ in benchmark(binaries, args.data, name, f"5@{seed}", out, args.again):
            key, title = main_figure(content)
            values.setdefault((label, title), []).append(content["routers"][0]["metrics"][key]["value"])
    for (label, title), of in values.items():
        deviation = statistics.stdev(of) if len(of) > 1 else 0.0
        each = ", ".join(f"{value:.3f}" for value in of)
        row([label, title, f"{statistics.mean(of):.4f}", f"{deviation:.4f}", each])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--out", type=Path, default=Path("public-benchmarks"))
    parser.add_argument("--full", action="store_true", help="all figures, with time and memory")
    parser.add_argument("--left-out", action="store_true", help=f"whole labels: {', '.join(LEFT_OUT)}")
    parser.add_argument("--seeds", type=int, help="mean over this many deals of the folds")
    parser.add_argument("--again", action="store_true", help="only print the reports that are in --out")
    args = parser.parse_intermixed_args()
    of = LEFT_OUT if args.left_out else SETS
    unknown = set(args.sets) - set(of)
    if unknown:
        parser.error(f"unknown sets: {', '.join(sorted(unknown))}")
    target = os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parent.parent / "target")
    binaries = Path(target) / "debug"

    if args.seeds:
        columns = ["set", "figure", "mean", "standard deviation", "each"]
    else:
        columns, line = (FULL, full) if args.full else (BRIEF, brief)
        columns = columns.split(", ")
    row(columns)
    row(["---"] * len(columns))
    for name in args.sets or of:
        if args.seeds:
            # Another file is judged there, however folds are dealt.
            if SETS[name][1] is None:
                over_seeds(binaries, args, name)
            continue
        folds = LEFT_OUT[name] if args.left_out else "fold"
        out = args.out / ("left-out" if args.left_out else "") / name
        for label, content, *costs in benchmark(binaries, args.data, name, folds, out, args.again):
            row(line(label, content, *costs))


if __name__ == "__main__":
    main()
