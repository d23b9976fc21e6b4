#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the time of a token grows with what stands before it, with sequences at once and with threads; ours and peers'.

Usage: bench/cost_plot.py measure --json FILE [--depths 0,2048,...] [--batches 1,2,...] [--each-threads 1,2]
                          (and what bench/compare.py wants: --model, --deepwell, peers, --threads)
       bench/cost_plot.py draw FILE [FILE...] OUT.svg

`measure` adds a point at a time to FILE and goes on where it was stopped; engines take turns at each point. `draw`
needs matplotlib (pip install matplotlib).
"""
import json
import pathlib
import statistics
import sys
import tempfile

import compare

COLOURS = {"deepwell": "#2563eb", "ik_llama.cpp": "#d97706", "llama.cpp": "#6b7280"}
PANELS = [("depth", "tokens before it, one sequence"), ("batch", "sequences at once"),
          ("threads", "threads, one sequence"), ("prompt threads", "threads, a prompt of 512 tokens")]


def take(arguments, flag, usual):
    """The value of a flag of our own, which compare.py does not know."""
    if flag not in arguments:
        return usual
    at = arguments.index(flag)
    if at + 1 == len(arguments):
        sys.exit(f"{flag} wants a value, as in {flag} {usual}")
    value = arguments[at + 1]
    del arguments[at:at + 2]
    return value


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def points(depths, batches, threads):
    """(panel, x, the test of compare.py, threads or None: as asked)"""
    for depth in depths:
        yield "depth", depth, f"tg16@{depth}" if depth else "tg16", None
    for batch in batches:
        yield "batch", batch, f"b{batch}", None
    for count in threads:
        yield "threads", count, "tg32", count
        yield "prompt threads", count, "pp512", count


class Measurement:
    def __init__(self, options, file):
        self.options, self.file = options, file
        self.asked_threads = options.threads
        self.found = json.loads(file.read_text()) if file.exists() else {
            "model": pathlib.Path(options.model).name, "threads": options.threads, "points": []}
        self.flags = {}

    def known(self, *key):
        return any((p["panel"], p["x"], p["engine"]) == key for p in self.found["points"])

    def rate(self, comparison, engine, test):
        if engine is None:
            return comparison.deepwell(test)[0]
        # The flags that are best for generation without depth, one thread count: tuned once for each kind of test.
        kind = (engine.name, test.batched, test.generated > 0)
        if kind not in self.flags:
            plain = test._replace(name="b1", batch=1) if test.batched else test._replace(name="t", depth=0)
            self.flags[kind] = comparison.tune(engine, plain)[0]
        return comparison.peer(engine, test, self.flags[kind], self.options.repeats)

    def add(self, comparison, panel, x, name, threads):
        test = compare.parse_tests(name)[0]
        self.options.threads = threads or self.asked_threads
        for engine in [None, *compare.peers_of(self.options)]:
            label = engine.name if engine else "deepwell"
            if self.known(panel, x, label):
                continue
            point = {"panel": panel, "x": x, "engine": label}
            try:
                rate = self.rate(comparison, engine, test)
                point["ms_per_token"] = 1000 / rate
                print(f"{panel} {x} {label}: {1000 / rate:.1f} ms a token", file=sys.stderr, flush=True)
            except compare.Failed as error:
                point["error"] = str(error)
                print(f"{panel} {x} {label}: {error}", file=sys.stderr, flush=True)
            self.found["points"].append(point)
            self.file.write_text(json.dumps(self.found, indent=1) + "\n")


def measure(arguments):
    file = pathlib.Path(take(arguments, "--json", "cost.json"))
    depths = numbers(take(arguments, "--depths", "0,2048,4096,8192,16384,32768"))
    batches = numbers(take(arguments, "--batches", "1,2,4,8,16,32,64"))
    threads = numbers(take(arguments, "--each-threads", "1,2"))
    options = compare.parse_arguments(arguments)
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare.Comparison(options,
                                        lambda command: compare.run_program(command, options.timeout, folder),
                                        lambda line: print(line, file=sys.stderr, flush=True))
        measurement = Measurement(options, file)
        for point in points(depths, batches, threads):
            measurement.add(comparison, *point)
    return 0 if all("error" not in p for p in measurement.found["points"]) else 1


def series(found, panel, engine):
    """x and the median of y where several runs measured the same."""
    at = {}
    for run in found:
        for p in run["points"]:
            if (p["panel"], p["engine"]) == (panel, engine) and "ms_per_token" in p:
                at.setdefault(p["x"], []).append(p["ms_per_token"])
    return sorted(at), [statistics.median(at[x]) for x in sorted(at)]


def draw(files, out):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "deepwell", "font.size": 9,
                                "font.family": "sans-serif"})
    from matplotlib import pyplot
    found = [json.loads(pathlib.Path(file).read_text()) for file in files]
    panels = [(panel, label) for panel, label in PANELS if any(series(found, panel, e)[0] for e in COLOURS)]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.2), squeeze=False)
    for axis, (panel, label) in zip(axes[0], panels):
        for engine, colour in COLOURS.items():
            x, y = series(found, panel, engine)
            if x:
                axis.plot(x, y, marker="o", markersize=3.5, color=colour, label=engine)
        if panel == "batch":
            axis.set_xscale("log", base=2)
        ticks = sorted({x for e in COLOURS for x in series(found, panel, e)[0]})
        if panel == "depth":
            ticks = [x for x in ticks if x == 0 or x >= ticks[-1] // 4]
        axis.set_xticks(ticks, [f"{x // 1024}k" if x >= 1024 else str(x) for x in ticks])
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(color="#e5e7eb")
        axis.set_axisbelow(True)
    axes[0][0].set_ylabel("ms a token")
    figure.suptitle(f"{found[0]['model']}, {found[0]['threads']} threads: lower is better", fontsize=10)
    handles = {text: handle for axis in axes[0] for handle, text in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=len(handles), frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(out, metadata={"Date": None, "Creator": None})


def main(arguments):
    if arguments[:1] == ["measure"]:
        return measure(arguments[1:])
    if arguments[:1] == ["draw"] and len(arguments) >= 3:
        draw(arguments[1:-1], arguments[-1])
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
