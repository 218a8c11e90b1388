#!/usr/bin/env python3
"""Computes summary.csv again from samples.csv, nodes.csv and cells.csv.

    python3 results/recompute.py results/reference

Needs Python 3.8 or later and nothing else, and shares no code with the program that
wrote the files: definitions are those of results/README.md. Every number must agree to
the digit; the exit code is 1 if one does not. `--no-intervals` leaves out the bootstrap
intervals, which take most of the time.
"""

import csv
import json
import math
import os
import sys
from fractions import Fraction

DRAWS = 1000
MOST_REQUESTS = 2000
SEED = 24301
MASK = (1 << 64) - 1


def quantile(ascending, q):
    """The nearest-rank quantile: the value at rank ceil(q * m), from 1."""
    if not ascending:
        return None
    rank = max(1, math.ceil(Fraction(q) * len(ascending)))
    return ascending[rank - 1]


P50, P90, P99, P999 = Fraction(1, 2), Fraction(9, 10), Fraction(99, 100), Fraction(999, 1000)
LOW, HIGH = Fraction(25, 1000), Fraction(975, 1000)


def rounded(value, digits):
    """To so many digits, halves away from zero."""
    scale = 10.0**digits
    return math.floor(value * scale + 0.5) / scale


def per(total, units, digits):
    return rounded(total / units, digits) if units > 0 else None


def splitmix64(seed):
    """Random numbers of 64 bits."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def draw(values, total, pool, random):
    """Draws from one repetition's ascending latencies, with replacement."""
    length = len(values)
    if length == 0:
        return
    count = length
    if total > MOST_REQUESTS:
        count = max(1, (2 * length * MOST_REQUESTS + total) // (2 * total))
    for _ in range(count):
        pool.append(values[(next(random) * length) >> 64])


def quantile_intervals(runs, quantiles):
    total = sum(map(len, runs))
    if total == 0:
        return [(None, None)] * len(quantiles)
    random = splitmix64(SEED)
    drawn = [[] for _ in quantiles]
    for _ in range(DRAWS):
        pool = []
        for _ in runs:
            draw(runs[(next(random) * len(runs)) >> 64], total, pool, random)
        pool.sort()
        for values, q in zip(drawn, quantiles):
            if pool:
                values.append(quantile(pool, q))
    return [(quantile(sorted(values), LOW), quantile(sorted(values), HIGH)) for values in drawn]


def ratio_interval(pairs):
    random = splitmix64(SEED)
    total_a, total_b = sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs)
    ratios = []
    for _ in range(DRAWS if pairs else 0):
        pool_a, pool_b = [], []
        for _ in pairs:
            a, b = pairs[(next(random) * len(pairs)) >> 64]
            draw(a, total_a, pool_a, random)
            draw(b, total_b, pool_b, random)
        median_a, median_b = quantile(sorted(pool_a), P50), quantile(sorted(pool_b), P50)
        if median_a is not None and median_b:
            ratios.append(median_a / median_b)
    if len(ratios) < DRAWS // 2:
        return None, None
    ratios.sort()
    return quantile(ratios, LOW), quantile(ratios, HIGH)


def read(folder, name):
    with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean(values):
    values = list(values)
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else None


class Cell:
    """The rows of one cell by repetition."""

    def __init__(self, rows, samples, nodes):
        self.rows = dict(sorted((int(row["repetition"]), row) for row in rows))
        self.first = next(iter(self.rows.values()))
        self.samples = [s for s in samples if int(s["repetition"]) in self.rows]
        self.nodes = {}
        for node in nodes:
            self.nodes.setdefault(int(node["repetition"]), []).append(node)
        self.basis = "response" if self.first["rate_per_s"] else "consensus"
        self.runs = {repetition: [] for repetition in self.rows}
        for sample in self.samples:
            value = sample[self.basis + "_us"]
            if sample["outcome"] == "decided" and value:
                self.runs[int(sample["repetition"])].append(int(value))
        for latencies in self.runs.values():
            latencies.sort()
        self.latencies = sorted(value for run in self.runs.values() for value in run)

    def setting(self):
        names = ["nodes", "fault", "payload_bytes", "batch_max", "clients", "rate_per_s"]
        names += ["placement", "link_delay_us", "link_loss"]
        # Older results have no columns for these.
        added_later = [self.first.get("app", "opaque"), self.first.get("via", "http")]
        added_later.append(self.first.get("durability", "off"))
        return (*added_later, *(self.first[name] for name in names))

    def outcomes(self, outcome):
        return sum(sample["outcome"] == outcome for sample in self.samples)

    def over_nodes(self, column):
        """A counter of all nodes, for each decided slot of repetitions that have all rows."""
        if self.outcomes("decided") == 0:
            return None
        total = slots = 0
        for repetition, row in self.rows.items():
            nodes = self.nodes.get(repetition, [])
            if len(nodes) == int(row["nodes"]):
                total += sum(int(node[column]) for node in nodes)
                slots += int(row["decided_slots"])
        return per(total, slots, 3)

    def cpu_per(self, units):
        cpu = [row["nodes_cpu_us"] for row in self.rows.values()]
        if self.outcomes("decided") == 0 or not all(cpu):
            return None
        return per(sum(map(int, cpu)), units, 3)

    def summary(self):
        requests = len(self.samples)
        counts = {name: self.outcomes(name) for name in ["decided", "timeout", "error", "violation"]}
        decided = counts["decided"]
        measured = 0.0
        for row in self.rows.values():
            measured += float(row["measured_s"])
        shares = {name + "_share": per(count, requests, 6) for name, count in counts.items()}
        average = mean(float(value) for value in self.latencies)
        slots = sum(int(row["decided_slots"]) for row in self.rows.values())
        share = {
            name: mean(float(row[name]) for row in self.rows.values() if row[name])
            for name in ["idle_share", "foreign_cpu_share"]
        }
        return {
            "repetitions": len(self.rows),
            "requests": requests,
            "decided": decided,
            "timeouts": counts["timeout"],
            "errors": counts["error"],
            "violations": counts["violation"],
            **shares,
            "latency_basis": self.basis,
            "p50_us": quantile(self.latencies, P50),
            "p90_us": quantile(self.latencies, P90),
            "p99_us": quantile(self.latencies, P99),
            "p999_us": quantile(self.latencies, P999),
            "max_us": self.latencies[-1] if self.latencies else None,
            "mean_us": None if average is None else rounded(average, 3),
            "throughput_per_s": per(decided, measured, 3),
            "messages_per_decision": self.over_nodes("agreement_messages_out"),
            "bytes_per_decision": self.over_nodes("bytes_out"),
            "cpu_us_per_decision": self.cpu_per(slots),
            "cpu_us_per_request": self.cpu_per(decided),
            **{name: None if value is None else rounded(value, 4) for name, value in share.items()},
        }

    def intervals(self):
        (low, high), (low99, high99) = quantile_intervals(list(self.runs.values()), [P50, P99])
        return {"p50_low_us": low, "p50_high_us": high, "p99_low_us": low99, "p99_high_us": high99}

    def ratio(self, baseline, with_interval):
        own, theirs = quantile(self.latencies, P50), quantile(baseline.latencies, P50)
        if own is None or not theirs:
            return {"ratio_to_pbft": None, "ratio_low": None, "ratio_high": None}
        columns = {"ratio_to_pbft": rounded(own / theirs, 4)}
        if with_interval:
            ends = (1.0, 1.0)
            if self.first["protocol"] != "pbft":
                both = [r for r in self.runs if r in baseline.runs]
                ends = ratio_interval([(self.runs[r], baseline.runs[r]) for r in both])
            columns["ratio_low"], columns["ratio_high"] = (
                None if end is None else rounded(end, 4) for end in ends
            )
        return columns


def floor(folder, cell):
    path = os.path.join(folder, "floor.json")
    row = cell.first
    lone = row["fault"] == "none" and row["clients"] == "1" and not row["rate_per_s"]
    plain = int(row["link_delay_us"]) == 0 and float(row["link_loss"]) == 0.0
    if not (os.path.exists(path) and lone and plain):
        return {"floor_us": None, "ratio_to_floor": None}
    with open(path, encoding="utf-8") as file:
        floors = json.load(file)["floors"]
    alike = [
        f["floor_us"]
        for f in floors
        if (f["protocol"], f["nodes"], f["payload_bytes"])
        == (row["protocol"], int(row["nodes"]), int(row["payload_bytes"]))
        and f["floor_us"] > 0
    ]
    if not alike:
        return {"floor_us": None, "ratio_to_floor": None}
    p50, least = quantile(cell.latencies, P50), rounded(min(alike), 3)
    return {"floor_us": least, "ratio_to_floor": None if p50 is None else rounded(p50 / least, 4)}


def same(written, computed):
    if computed is None or written == "":
        return computed is None and written == ""
    if isinstance(computed, str):
        return written == computed
    return float(written) == float(computed)


def main(arguments):
    with_intervals = "--no-intervals" not in arguments
    folders = [argument for argument in arguments if not argument.startswith("--")]
    if len(folders) != 1:
        sys.exit("give one result folder, such as results/reference")
    folder = folders[0]
    by_cell = {}
    for name in ["cells.csv", "samples.csv", "nodes.csv"]:
        for row in read(folder, name):
            by_cell.setdefault(row["cell"], {}).setdefault(name, []).append(row)
    cells = {
        name: Cell(rows["cells.csv"], rows.get("samples.csv", []), rows.get("nodes.csv", []))
        for name, rows in by_cell.items()
        if "cells.csv" in rows
    }
    baselines = {c.setting(): c for c in cells.values() if c.first["protocol"] == "pbft"}
    compared = wrong = 0
    written = read(folder, "summary.csv")
    if {row["cell"] for row in written} != set(cells):
        sys.exit("summary.csv and cells.csv hold other cells")
    for row in written:
        cell = cells[row["cell"]]
        computed = {**cell.summary(), **floor(folder, cell)}
        if with_intervals:
            computed.update(cell.intervals())
        baseline = baselines.get(cell.setting())
        if baseline is not None:
            computed.update(cell.ratio(baseline, with_intervals))
        for column, value in computed.items():
            compared += 1
            if not same(row[column], value):
                wrong += 1
                print(f"{row['cell']}: {column} is {row[column]!r} in summary.csv and {value!r} here")
    print(f"{compared} numbers of {len(written)} cells computed again, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
