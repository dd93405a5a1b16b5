"""Writes RESULTS.md and its charts from what a run of bench/run left in its folder: report.py FOLDER OUT."""

import datetime
import json
import os
import platform
import subprocess
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402  (the back end is chosen first)

import compare  # noqa: E402
import workloads  # noqa: E402

BASES = ("gocryptfs", "passthrough")
PLACES = (("memory", "the store in memory: the daemon's own cost"), ("disk", "the store on disk"))


def load(folder, name):
    path = os.path.join(folder, name + ".json")
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def git_commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "no commit"


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} processors ({model}), Linux {platform.release()}"


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row("---" for _ in head), *(row(cells) for cells in rows)])


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def comparison(run):
    """Medians, then the ratios of each Coffer to each base, lowest and geometric mean."""
    figures = run["figures"]
    names = list(next(iter(figures.values())))
    out = [table(["workload", "unit", *names],
                 [[name, workloads.ALL[name][1], *(number(compare.median(by[target])) for target in names)] for name, by in figures.items()])]
    rows = []
    for mine in (name for name in names if name.startswith("coffer")):
        for base in (name for name in BASES if name in names):
            each = {name: compare.median(compare.ratios(by[mine], by[base])) for name, by in figures.items()}
            lowest = min(each, key=each.get)
            rows.append([f"{mine} to {base}", f"{compare.geometric_mean(list(each.values())):.2f}", f"{each[lowest]:.2f} ({lowest})"])
    out.append(table(["ratio, per round", "geometric mean", "lowest"], rows))
    return "\n\n".join(out)


def chart(run, path, title):
    figures = run["figures"]
    names = list(next(iter(figures.values())))
    mine = [name for name in names if name.startswith("coffer") or name == "passthrough"]
    if "gocryptfs" not in names:
        return
    figure, axes = pyplot.subplots(figsize=(9, 5))
    width = 0.8 / len(mine)
    for i, target in enumerate(mine):
        values = [compare.median(compare.ratios(by[target], by["gocryptfs"])) for by in figures.values()]
        axes.barh([j + i * width for j in range(len(values))], values, height=width, label=target)
    axes.set_yticks([j + 0.4 for j in range(len(figures))], list(figures))
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times gocryptfs")
    axes.set_title(title)
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def micro(run):
    rows = []
    for bench in run["benchmarks"]:
        if "error_occurred" in bench:
            rows.append([bench["name"], bench.get("error_message", "failed"), ""])
            continue
        speed = f"{bench['bytes_per_second'] / 1e9:.2f} GB/s" if "bytes_per_second" in bench else ""
        rows.append([bench["name"], f"{bench['real_time']:.2f} {bench['time_unit']}", speed])
    return table(["what", "time", "speed"], rows)


def latency(run):
    operations = list(next(iter(run.values())))
    shares = ("p50", "p99", "p99.9")
    return table(["operation, us", *(f"{name} {share}" for name in run for share in shares)],
                 [[operation, *(f"{run[name][operation][share]:.0f}" for name in run for share in shares)] for operation in operations])


def real_work(run):
    names = list(next(iter(run.values())))
    return table(["seconds", *names], [[work, *(number(compare.median(by[name])) if by[name] else "-" for name in names)]
                                       for work, by in run.items()])


def scale(run):
    rows = [[what, f"{run['small'][what]:.1f}", f"{run['large'][what]:.1f}", f"{run['large'][what] / run['small'][what]:.2f}"]
            for what in run["small"]]
    rows.append(["random read: 64 MiB, 64 GiB", f"{run['read_64_mib_us']:.1f}", f"{run['read_64_gib_us']:.1f}",
                 f"{run['read_64_gib_us'] / run['read_64_mib_us']:.2f}"])
    rows.append(["PutBucketEncryption, ms", f"{run['put_rule_empty_ms']:.1f}", f"{run['put_rule_full_ms']:.1f}",
                 f"{run['put_rule_full_ms'] / run['put_rule_empty_ms']:.2f}"])
    head = ["us per operation", "10,000 entries", f"{run['entries']:,} entries", "ratio"]
    return table(head, rows) + (f"\n\nMount with {run['entries']:,} objects: {run['mount_s']:.2f} s. Memory at most {run['memory_peak_mb']:.0f} MB. "
                                f"Catalog: {run['catalog_mb']:.0f} MB.")


def kms_calls(run):
    rows = [[name, run[name]["writing"], run[name]["reading"]] for name in ("coffer-kms-each", "coffer-kms")]
    names = {"coffer-kms-each": "without a Bucket Key", "coffer-kms": "with a Bucket Key"}
    return table([f"{run['objects']:,} objects", "KMS calls, writing", "KMS calls, reading after a restart"],
                 [[names[name], *rest] for name, *rest in rows])


def wire(run):
    cells = lambda by: [cell for each in by.values()
                        for cell in (f"{each['calls_per_second']:,.0f}", f"{each['p50_us']:,.0f}", f"{each['p99_us']:,.0f}")]
    head = [f"{connections}: {what}" for connections in next(iter(run.values())) for what in ("calls/s", "p50 us", "p99 us")]
    return table(["by connections", *head], [[name, *cells(by)] for name, by in run.items()])


def main():
    folder, out = sys.argv[1:3]
    text = [f"# Results\n\n{datetime.date.today()}, commit {git_commit()}, {machine()}. Made by `bench/run`; ratios count, "
            "absolute figures vary from machine to machine."]
    for place, what in PLACES:
        if run := load(folder, f"compare-{place}"):
            chart(run, os.path.join(os.path.dirname(out), f"{place}.svg"), f"Beside gocryptfs, {what}")
            text.append(f"## Side by side, {what}\n\n![ratios]({place}.svg)\n\n{run['rounds']} rounds, scale {run['scale']}. More is better.\n\n"
                        + comparison(run))
    for name, title, show in (("real-work", "Real work (less is better)", real_work), ("latency", "Latency beside a stream", latency),
                              ("scale", "Scale", scale), ("kms-calls", "What a Bucket Key saves", kms_calls),
                              ("wire", "The admin socket: configuration and KMS calls", wire)):
        if run := load(folder, name):
            text.append(f"## {title}\n\n{show(run)}")
    for name in ("aead", "values", "store"):
        if run := load(folder, f"micro-{name}"):
            text.append(f"## Micro: {name}\n\n{micro(run)}")
    with open(out, "w") as file:
        file.write("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
