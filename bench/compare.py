#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deepwell beside llama.cpp and ik_llama.cpp on one model, taking turns on one machine.

Usage: bench/compare.py --model FILE --deepwell BIN [--llama-bench PATH] [--ik-bench PATH]
                        [--llama-batched PATH] [--ik-batched PATH]
                        [--tests pp512,tg64,b8] [--pairs 5] [--repeats 3] [--tuning-rounds 1] [--threads N]
                        [--timeout 1800] [--json OUT]

Tests: ppN a prompt of N tokens; tgN N generated tokens of one sequence (tgN@D: behind D tokens); bN 32 generated tokens
of N sequences at once behind 16 tokens each (the -batched programs). Each peer first tries its flags on each test and
keeps the fastest. Then Deepwell and the peer run in turn; before and after each pair the machine's int8 peak is
measured, and a pair during which it moved by more than 20 % is dropped: another program had the processor, or two
threads shared a core.

Prints for each test and peer the median of the paired ratios (above 1: Deepwell is faster), both medians in
tokens/s, the share of the machine's peak that both reach, and how many pairs were kept. Exit code 1: something did
not run, or no pair was kept.
"""
import argparse
import itertools
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import typing

PEAK_MOVES_MAX = 0.20
PROGRAMS = ("--deepwell", "--llama-bench", "--ik-bench", "--llama-batched", "--ik-batched")
BATCH_PROMPT, BATCH_GENERATED = 16, 32


class Failed(Exception):
    """A program did not run or said nothing that can be read; the text says which and why."""


class Test(typing.NamedTuple):
    name: str
    prompt: int
    generated: int
    batch: int
    depth: int = 0  # tokens that stand before what is timed

    @property
    def batched(self):
        return self.name.startswith("b")


def parse_tests(text):
    tests = []
    for name in text.split(","):
        match = re.fullmatch(r"(?:(pp|b)([1-9][0-9]{0,6})|(tg)([1-9][0-9]{0,6})(?:@([1-9][0-9]{0,6}))?)", name.strip())
        if not match:
            raise argparse.ArgumentTypeError(
                f"'{name}' is no test; write ppN, tgN, tgN@DEPTH or bN, as in pp512,tg64,tg64@4096,b8")
        kind, count = match.group(1) or match.group(3), int(match.group(2) or match.group(4))
        tests.append({"pp": Test(name.strip(), count, 0, 1),
                      "tg": Test(name.strip(), 0, count, 1, int(match.group(5) or 0)),
                      "b": Test(name.strip(), 0, BATCH_GENERATED, count, BATCH_PROMPT)}[kind])
    return tests


# --- what the programs print -----------------------------------------------------------------------------------

def parse_deepwell(text):
    """(rates, share of peak or None) of the one test that `deepwell bench --json` ran."""
    for line in text.splitlines():
        if line.startswith("{"):
            found = json.loads(line)
            return found["tokens_per_second"], found.get("peak_fraction")
    raise Failed("deepwell bench printed no JSON")


def parse_peak(text):
    """int8 GOPS and GB/s as `deepwell fit --json` measured them."""
    for line in text.splitlines():
        if line.startswith("{"):
            machine = json.loads(line).get("machine")
            if machine:
                return {"int8_gops": machine["int8_gops"], "read_gb_per_second": machine["read_gb_per_second"]}
    raise Failed("deepwell fit measured no peak")


def parse_llama_bench(text, test):
    """Rates of `llama-bench -o json`, whatever it printed before the array."""
    start = re.search(r"^\[", text, re.MULTILINE)
    if not start:
        raise Failed("llama-bench printed no JSON")
    # What stands before is n_depth of llama.cpp, n_prompt of ik_llama.cpp's -gp.
    for entry in json.loads(text[start.start():]):
        if (entry["n_prompt"] + entry.get("n_depth", 0), entry["n_gen"]) == (test.prompt + test.depth, test.generated):
            return entry["samples_ts"]
    raise Failed(f"llama-bench has no result for {test.name}")


def parse_batched(text, test):
    """The generation rate of `llama-batched-bench`: from a JSON line, or a row of its table (ten columns)."""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("{") and '"speed_tg"' in line:
            found = json.loads(line)
            if (found["pl"], found["tg"]) == (test.batch, test.generated):
                return [found["speed_tg"]]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 10 and all(re.fullmatch(r"[0-9.]+", cell) for cell in cells):
            if (int(cells[2]), int(cells[1])) == (test.batch, test.generated):
                return [float(cells[7])]
    raise Failed(f"llama-batched-bench has no result for {test.name}")


# --- how they are called ---------------------------------------------------------------------------------------

class Peer:
    """A peer's two programs and the flags worth trying, as far as its --help knows them."""

    def __init__(self, name, bench, batched, choices, depth, equal=False):
        """`depth(test)`: the words by which llama-bench times generation behind a context; `equal`: the -batched
        program feeds all sequences the same tokens, which then choose the same experts."""
        self.name, self.bench, self.batched, self.choices, self.depth = name, bench, batched, choices, depth
        self.equal = equal

    def program(self, test):
        return self.batched if test.batched else self.bench

    def flag_sets(self, test, help_text):
        """Each way to call the program for this test; choices it does not know are left out."""
        ways = []
        for flag, (plain, batched) in self.choices.items():
            if re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", help_text):
                ways.append(batched if test.batched else plain)
        return [[word for words in way for word in words] for way in itertools.product(*ways)]

    def command(self, test, flags, model, threads, repeats):
        if test.batched:
            # Rounded up to what both lay their caches out in, so that every sequence has its room.
            context = max(512, -(-test.batch * (BATCH_PROMPT + BATCH_GENERATED) // 256) * 256)
            return [self.batched, "-m", model, "-t", str(threads), "-tb", str(threads), "-c", str(context),
                    "-npp", str(BATCH_PROMPT), "-ntg", str(BATCH_GENERATED), "-npl", str(test.batch), *flags]
        work = self.depth(test) if test.depth else ["-p", str(test.prompt), "-n", str(test.generated)]
        return [self.bench, "-m", model, "-t", str(threads), *work, "-r", str(repeats), "-o", "json", *flags]

    def parse(self, test, out, err):
        return parse_batched(out + "\n" + err, test) if test.batched else parse_llama_bench(out, test)


# For each flag of --help: the words to try with llama-bench, and with llama-batched-bench, which spells some of them
# otherwise.
LLAMA_CHOICES = {
    "--repack": ([["--repack", "1"], ["--repack", "0"]], [[], ["--no-repack"]]),
    "-fa": ([["-fa", "1"], ["-fa", "0"]], [["-fa", "on"], ["-fa", "off"]]),
}
IK_CHOICES = {
    "-rtr": ([["-rtr", "1"], ["-rtr", "0"]], [["-rtr"], []]),
    "-fa": ([["-fa", "1"]], [["-fa", "on"]]),
    "-fmoe": ([["-fmoe", "1"]], [[]]),
    "-mla": ([["-mla", "3"]], [["-mla", "3"]]),
}


def llama_depth(test):
    return ["-p", "0", "-n", str(test.generated), "-d", str(test.depth)]


def ik_depth(test):
    return ["-p", "0", "-n", "0", "-gp", f"{test.depth},{test.generated}"]


def run_program(command, timeout, folder):
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, cwd=folder,
                              check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]}: not done after {timeout:.0f} s") from error
    return done.returncode, done.stdout, done.stderr


# --- the comparison --------------------------------------------------------------------------------------------

def moved(before, after):
    """By which share the larger of two peaks is above the smaller."""
    return abs(before - after) / max(before, after)


class Comparison:
    """Runs the programs through `run(command) -> (exit code, stdout, stderr)`; `say` gets progress, a line each."""

    def __init__(self, options, run, say):
        self.options, self.run, self.say = options, run, say
        self.helps = {}

    def checked(self, command, codes=(0,)):
        code, out, err = self.run(command)
        if code not in codes:
            last = (err.strip() or out.strip() or "nothing printed").splitlines()[-1]
            raise Failed(f"{' '.join(command)}: exit code {code}: {last}")
        return out, err

    def peak(self):
        # fit measures without loading; it exits with 1 when the model does not fit, which is not what is asked here.
        out, _ = self.checked([self.options.deepwell, "fit", self.options.model, "--threads",
                               str(self.options.threads), "--json"], codes=(0, 1))
        return parse_peak(out)

    def deepwell(self, test, equal=False):
        out, _ = self.checked([
            self.options.deepwell, "bench", self.options.model, "-p", str(test.prompt), "-n", str(test.generated),
            "-b", str(test.batch), "-d", str(test.depth), "-t", str(self.options.threads),
            "-r", str(self.options.repeats), "--json", *(["--equal"] if equal else [])])
        rates, fraction = parse_deepwell(out)
        return statistics.median(rates), fraction

    def peer(self, peer, test, flags, repeats):
        out, err = self.checked(peer.command(test, flags, self.options.model, self.options.threads, repeats))
        return statistics.median(peer.parse(test, out, err))

    def help_of(self, program):
        if program not in self.helps:
            _, out, err = self.run([program, "--help"])
            self.helps[program] = out + err
        return self.helps[program]

    def tune(self, peer, test):
        """The fastest flags, and what each gave: the best of its rounds, so that one disturbance is no verdict."""
        tried = [{"flags": flags} for flags in peer.flag_sets(test, self.help_of(peer.program(test)))]
        for one in tried * self.options.tuning_rounds:
            try:
                rate = self.peer(peer, test, one["flags"], 1)
                one["tokens_per_second"] = max(rate, one.get("tokens_per_second", 0))
                self.say(f"{test.name} {peer.name} {' '.join(one['flags'])}: {rate:.1f} tokens/s")
            except Failed as error:
                one["error"] = str(error)
                self.say(f"{test.name} {peer.name} {' '.join(one['flags'])}: {error}")
        ran = [one for one in tried if "tokens_per_second" in one]
        if not ran:
            raise Failed(f"{peer.name} runs {test.name} with none of its flags: {tried[-1]['error']}")
        return max(ran, key=lambda one: one["tokens_per_second"])["flags"], tried

    def pairs(self, peer, test, flags):
        pairs = []
        before = self.peak()
        for number in range(self.options.pairs):
            ours, fraction = self.deepwell(test, peer.equal and test.batched)
            theirs = self.peer(peer, test, flags, self.options.repeats)
            after = self.peak()
            kept = moved(before["int8_gops"], after["int8_gops"]) <= PEAK_MOVES_MAX
            pairs.append({"deepwell": ours, "peer": theirs, "ratio": ours / theirs, "peak_fraction": fraction,
                          "peak_before": before, "peak_after": after, "kept": kept})
            self.say(f"{test.name} {peer.name} pair {number + 1}: {ours:.1f} to {theirs:.1f} tokens/s"
                     f"{'' if kept else ', dropped: the peak moved'}")
            before = after
        return pairs

    def compare(self, peer, test):
        result = {"test": test.name, "peer": peer.name}
        try:
            if peer.program(test) is None:
                raise Failed(f"no {'llama-batched-bench' if test.batched else 'llama-bench'} of {peer.name} was given")
            result["flags"], result["tuning"] = self.tune(peer, test)
            result["pairs"] = self.pairs(peer, test, result["flags"])
        except Failed as error:
            result["error"] = str(error)
            return result
        result.update(summary(result["pairs"]))
        return result


def summary(pairs):
    """Medians over the pairs that were kept; nothing but their count when there are none."""
    kept = [pair for pair in pairs if pair["kept"]]
    if not kept:
        return {"pairs_kept": 0}
    median = {key: statistics.median(pair[key] for pair in kept) for key in ("ratio", "deepwell", "peer")}
    shares = [(pair["peak_fraction"], pair["peak_fraction"] / pair["ratio"]) for pair in kept
              if pair["peak_fraction"] is not None]
    return {"pairs_kept": len(kept), "ratio": median["ratio"], "deepwell_tokens_per_second": median["deepwell"],
            "peer_tokens_per_second": median["peer"],
            "deepwell_peak_fraction": statistics.median(ours for ours, _ in shares) if shares else None,
            "peer_peak_fraction": statistics.median(theirs for _, theirs in shares) if shares else None}


def share(value):
    return "-" if value is None else f"{value * 100:.0f}%"


def table(results):
    """Markdown, to be pasted into docs."""
    lines = ["| test | peer | ratio | deepwell tokens/s | peer tokens/s | of peak | peer's | pairs | peer's flags |",
             "|---|---|---|---|---|---|---|---|---|"]
    for r in results:
        if r.get("pairs_kept"):
            cells = [f"{r['ratio']:.2f}", f"{r['deepwell_tokens_per_second']:.1f}",
                     f"{r['peer_tokens_per_second']:.1f}", share(r["deepwell_peak_fraction"]),
                     share(r["peer_peak_fraction"])]
        else:
            cells = ["-"] * 5
        kept = f"{r.get('pairs_kept', 0)} of {len(r.get('pairs', []))}"
        lines.append(f"| {r['test']} | {r['peer']} | {' | '.join(cells)} | {kept} | {' '.join(r.get('flags', []))} |")
    return "\n".join(lines)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("Usage: "),
                                     description=__doc__.split("\n\n", 2)[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    program = os.path.abspath  # runs happen in another folder
    parser.add_argument("--model", required=True, type=program)
    for flag in PROGRAMS:
        parser.add_argument(flag, required=flag == "--deepwell", type=program)
    parser.add_argument("--tests", type=parse_tests, default=parse_tests("pp512,tg64,b8"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="runs inside one turn; their median counts")
    parser.add_argument("--tuning-rounds", type=int, default=1,
                        help="runs with each flag before the pairs; the best counts")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2),
                        help="of both sides; without it half the CPUs, which are the cores where each has two")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds that one program may take")
    parser.add_argument("--json", type=pathlib.Path, help="write everything that was measured to this file")
    options = parser.parse_args(arguments)
    if min(options.pairs, options.repeats, options.threads, options.tuning_rounds) < 1:
        parser.error("--pairs, --repeats, --threads and --tuning-rounds are 1 or more")
    if not (options.llama_bench or options.ik_bench or options.llama_batched or options.ik_batched):
        parser.error("no peer given; say where at least one --llama-bench or --ik-bench is")
    if not os.path.isfile(options.model):
        parser.error(f"--model: there is no file {options.model}")
    for flag in PROGRAMS:
        program = getattr(options, flag[2:].replace("-", "_"))
        if program and not os.access(program, os.X_OK):
            parser.error(f"{flag}: {program} is no program")
    return options


def peers_of(options):
    return [peer for peer in (Peer("llama.cpp", options.llama_bench, options.llama_batched, LLAMA_CHOICES, llama_depth),
                              Peer("ik_llama.cpp", options.ik_bench, options.ik_batched, IK_CHOICES, ik_depth,
                                   equal=True))
            if peer.bench or peer.batched]


def main(arguments):
    options = parse_arguments(arguments)
    # Some peers leave log files in the folder they run in.
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options, lambda command: run_program(command, options.timeout, folder),
                                lambda line: print(line, file=sys.stderr, flush=True))
        results = [comparison.compare(peer, test) for test in options.tests for peer in peers_of(options)]
    print(table(results))
    for result in results:
        if "error" in result:
            print(f"{result['test']} {result['peer']}: {result['error']}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps({
            "model": pathlib.Path(options.model).name, "threads": options.threads, "repeats": options.repeats,
            "results": results}, indent=1) + "\n")
    return 0 if all(result.get("pairs_kept") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
