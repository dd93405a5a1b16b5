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


def load_of(run):
    return "load average at its end " + " ".join(f"{value:.1f}" for value in run.get("load", [])) if "load" in run else "load not known"


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


def shown(run):
    """Of what was repeated the medians alone."""
    medians = [bench for bench in run["benchmarks"] if bench.get("aggregate_name") == "median"]
    return medians or run["benchmarks"]


def micro(run):
    rows = []
    for bench in shown(run):
        if "error_occurred" in bench:
            rows.append([bench["name"], bench.get("error_message", "failed"), ""])
            continue
        speed = f"{bench['bytes_per_second'] / 1e9:.2f} GB/s" if "bytes_per_second" in bench else ""
        rows.append([bench["run_name"], f"{bench['cpu_time']:.2f} {bench['time_unit']}", speed])
    return "Time of the processor, not of the clock.\n\n" + table(["what", "time", "speed"], rows)


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


def levers(run):
    rows = [[lever, work, f"{compare.median(ratios):.2f}", "kept" if compare.median(ratios) >= 0.97 else "kept, and to be looked at"]
            for lever, by in run.items() for work, ratios in by.items()]
    return ("With the lever over without it, in one run; above 1 is what it gives.\n\n"
            + table(["lever", "workload", "ratio", ""], rows))


def flushes(run):
    return table(["fdatasync of a 4 KiB overwrite of", "flushes each"], [[name, f"{each:.2f}"] for name, each in run.items()])


def hot_paths(path):
    with open(path) as file:
        recorded = json.load(file)
    return ("As `./check` compares them; with " + ", ".join(recorded["recorded with"]) + ".\n\n"
            + table(["path, each", "instructions"], [[name, f"{count:,}"] for name, count in recorded["instructions"].items()]))


def slopes(run):
    few, many = run["objects"]
    rows = [[name, *(f"{by[what]:.0f}" for what in ("catalog_bytes", "tags_bytes")), f"{by['fsck_s'] * 1e6:.0f}"]
            for name, by in run.items() if name != "objects"]
    return (f"From stores of {few:,} and {many:,} objects; docs/SCALE.md reckons with them.\n\n"
            + table(["one more object", "bytes of coffer.db", "of coffer.tags", "fsck, us of the processor"], rows))


def streams(run):
    return table(["MB/s", "coffer", "cipher replaced by a copy", "share"],
                 [[name, *(number(compare.median(by[target])) for target in ("coffer", "coffer-copy")),
                   f"{compare.median(compare.ratios(by['coffer'], by['coffer-copy'])):.0%}"] for name, by in run["figures"].items()])


# --- the targets ---

def shares(run, mine, base):
    """Of each workload: how many times base it is, the median over the rounds."""
    return {name: compare.median(compare.ratios(by[mine], by[base])) for name, by in run["figures"].items() if mine in by and base in by}


def beside_peers(folder):
    """Rows of the first target: what it asks for, what was found, and whether that is enough."""
    wanted = {"coffer": (4, 3, 2, 1.2), "coffer-kms": (4, 3, 2, 1.2), "coffer-dsse": (3, 2, None, 1)}
    for place, _ in PLACES:
        run = load(folder, f"compare-{place}")
        for mine, (memory, disk, passthrough, lowest) in wanted.items() if run else ():
            by_gocryptfs = shares(run, mine, "gocryptfs")
            if not by_gocryptfs:
                continue
            mean, least = (memory if place == "memory" else disk), min(by_gocryptfs, key=by_gocryptfs.get)
            found = compare.geometric_mean(list(by_gocryptfs.values()))
            yield f"1: {mine} to gocryptfs, {place}, geometric mean", f"{mean}", f"{found:.2f}", found >= mean
            yield f"1: {mine} to gocryptfs, {place}, lowest", f"{lowest}", f"{by_gocryptfs[least]:.2f} ({least})", by_gocryptfs[least] >= lowest
            if place == "memory" and passthrough:
                found = compare.geometric_mean(list(shares(run, mine, "passthrough").values()))
                yield f"1: {mine} to passthrough, memory, geometric mean", f"{passthrough}", f"{found:.2f}", found >= passthrough


def crypto(folder):
    run = load(folder, "micro-aead")
    speed = {bench["run_name"]: bench["bytes_per_second"] for bench in shown(run) if "bytes_per_second" in bench} if run else {}
    whole = f"/{64 * 16384}"
    for name in ("ipsec_mb", "openssl", "sodium"):
        if f"bare_{name}{whole}" in speed:
            found = speed[f"seal_run_by/{name}"] / speed[f"bare_{name}{whole}"]
            yield f"3: Aead over {name}, a write of 64 chunks of 16 KiB, of the library's own speed", "95%", f"{found:.0%}", found >= 0.95
    if "bare_ipsec_mb/16384" in speed:
        found = speed["bare_ipsec_mb/16384"] / speed["bare_openssl/16384"]
        yield "3: IPSec-MB to OpenSSL, 16 KiB", "3", f"{found:.2f}", found >= 3
        layers = ("bare_ipsec_mb" + whole, "bare_openssl" + whole)
        found = speed["seal_run_twice"] * sum(1 / speed[layer] for layer in layers)
        yield "3: DSSE of what its two layers allow", "90%", f"{found:.0%}", found >= 0.9


def others(folder):
    if run := load(folder, "streams"):
        for name, share in shares(run, "coffer", "coffer-copy").items():
            yield f"2: {name}, of a build whose cipher copies", "80%", f"{share:.0%}", share >= 0.8
    yield from crypto(folder)
    for name, each in (load(folder, "flushes") or {}).items():
        most = 1 if "catalog" in name else 2
        # The daemon's own commit every 5 s is counted with the others.
        yield f"4: flushes for an fdatasync, {name}", f"at most {most}", f"{each:.2f}", each <= most + 0.05
    if run := load(folder, "scale"):
        for what, cost in run["small"].items():
            found = run["large"][what] / cost
            yield f"5: {what} at {run['entries']:,} entries to 10,000", "at most 1.3", f"{found:.2f}", found <= 1.3
        found = run["read_64_gib_us"] / run["read_64_mib_us"]
        yield "5: random read, 64 GiB to 64 MiB", "at most 1.3", f"{found:.2f}", found <= 1.3
        yield f"5: mount of {run['entries']:,} objects", "under 1 s", f"{run['mount_s']:.2f} s", run["mount_s"] < 1
        found = run["put_rule_full_ms"] / run["put_rule_empty_ms"]
        yield "5: PutBucketEncryption, full bucket to empty", "1, of noise 1.3", f"{found:.2f}", found <= 1.3
        yield "5: the daemon's memory", "under 256 MiB", f"{run['memory_peak_mb']:.0f} MiB", run["memory_peak_mb"] < 256
    if run := load(folder, "kms-calls"):
        for when in ("writing", "reading"):
            saved = 1 - run["coffer-kms"][when] / max(1, run["coffer-kms-each"][when])
            yield f"6: KMS calls saved by a Bucket Key, {when} {run['objects']:,} objects", "99%", f"{saved:.2%}", saved >= 0.99


def target_table(folder):
    rows = [[what, wanted, found, "met" if met else "**not met**"] for what, wanted, found, met in (*beside_peers(folder), *others(folder))]
    return table(["target", "asked for", "found", ""], rows)


def main():
    folder, out = sys.argv[1:3]
    text = [f"# Results\n\n{datetime.date.today()}, commit {git_commit()}, {machine()}. Made by `bench/run`; ratios count, "
            "absolute figures vary from machine to machine."]
    notes = os.path.join(os.path.dirname(out), "NOTES.md")
    if os.path.exists(notes):
        with open(notes) as file:
            text.append(file.read().strip())
    text.append("## Targets\n\n" + target_table(folder))
    for place, what in PLACES:
        if run := load(folder, f"compare-{place}"):
            chart(run, os.path.join(os.path.dirname(out), f"{place}.svg"), f"Beside gocryptfs, {what}")
            text.append(f"## Side by side, {what}\n\n![ratios]({place}.svg)\n\n{run['rounds']} rounds, scale {run['scale']}, {load_of(run)}. More is better.\n\n"
                        + comparison(run))
    for name, title, show in (("streams", "What encryption costs a stream", streams), ("levers", "Levers of the mount", levers),
                              ("flushes", "Flushes", flushes), ("real-work", "Real work (less is better)", real_work), ("latency", "Latency beside a stream", latency),
                              ("scale", "Scale", scale), ("slopes", "What one more object costs", slopes), ("kms-calls", "What a Bucket Key saves", kms_calls),
                              ("wire", "The admin socket: configuration and KMS calls", wire)):
        if run := load(folder, name):
            text.append(f"## {title}\n\n{show(run)}")
    text.append("## Instructions of the hot paths\n\n" + hot_paths(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hot_paths.json")))
    for name in ("aead", "values", "store"):
        if run := load(folder, f"micro-{name}"):
            text.append(f"## Micro: {name}\n\n{micro(run)}")
    with open(out, "w") as file:
        file.write("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
