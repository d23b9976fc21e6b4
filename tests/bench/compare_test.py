# SPDX-License-Identifier: Apache-2.0
"""Goal: bench/compare.py reads what each program prints, calls each at its best flags, and counts only the pairs
during which the machine held still. Outputs below are as the programs print them, cut to what matters."""
import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import compare

DEEPWELL = ('{"test":"pp16","batch":1,"depth":0,"threads":2,"tokens_per_second":[190.0,200.0,150.0],'
            '"peak_fraction":0.5,"peak":{"int8_gops":250.4,"read_gb_per_second":10.7}}\n')
FIT = '{"path":"m.gguf","machine":{"read_gb_per_second":27.0,"int8_gops":%s,"threads":2,"measured":true}}\n'
LLAMA_BENCH = """warning: something about the backend
[
  {"n_threads": 2, "repack": true, "n_prompt": 16, "n_gen": 0, "avg_ts": 2.6, "samples_ts": [ 2.5, 2.7 ]},
  {"n_threads": 2, "repack": true, "n_prompt": 0, "n_gen": 4, "avg_ts": 4.6, "samples_ts": [ 0.86, 8.4 ]}
]
"""
BATCHED_JSON = ('\n{"n_kv_max": 512, "n_threads": 2, "pp": 16, "tg": 32, "pl": 8, "n_kv": 384, "t_pp": 0.75, '
                '"speed_pp": 10.6, "t_tg": 5.12, "speed_tg": 50.25, "t": 5.8, "speed": 2.7}\n')
BATCHED_TABLE = """main: n_kv_max = 512, n_batch = 2048, n_ubatch = 512, flash_attn = 1

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|    16 |     32 |    8 |    384 |    0.410 |    19.53 |    1.689 |    47.40 |    2.099 |     7.62 |
"""
LLAMA_HELP = "  -fa, --flash-attn <on|off|auto>\n  --repack <0|1>  (default: 1)\n"
IK_HELP = "-fa, --flash-attn <0|1>\n-mla, --mla-use <0|1|2>\n-rtr, --run-time-repack <0|1>\n-fmoe, --fused-moe <0|1>\n"


def one(name):
    return compare.parse_tests(name)[0]


class Parsing(unittest.TestCase):
    def test_test_names(self):
        pp, tg, b = compare.parse_tests("pp512,tg64, b8")
        self.assertEqual((pp.prompt, pp.generated, pp.batch, pp.batched), (512, 0, 1, False))
        self.assertEqual((tg.prompt, tg.generated, tg.batch, tg.batched), (0, 64, 1, False))
        self.assertEqual((b.generated, b.batch, b.batched, b.depth), (32, 8, True, 16))
        deep = one("tg64@4096")
        self.assertEqual((deep.prompt, deep.generated, deep.depth, deep.batched), (0, 64, 4096, False))
        for bad in ("", "pp", "pp0", "xx5", "pp512,,tg1", "b-1", "pp512@4", "b8@16", "tg64@", "tg64@0"):
            with self.assertRaises(argparse.ArgumentTypeError, msg=bad):
                compare.parse_tests(bad)

    def test_deepwell(self):
        self.assertEqual(compare.parse_deepwell(DEEPWELL), ([190.0, 200.0, 150.0], 0.5))
        self.assertEqual(compare.parse_peak(FIT % 890.5), {"int8_gops": 890.5, "read_gb_per_second": 27.0})
        for text in ("", "no JSON here"):
            self.assertRaises(compare.Failed, compare.parse_deepwell, text)
            self.assertRaises(compare.Failed, compare.parse_peak, text)
        self.assertRaises(compare.Failed, compare.parse_peak, '{"path":"m.gguf"}')

    def test_llama_bench(self):
        self.assertEqual(compare.parse_llama_bench(LLAMA_BENCH, one("pp16")), [2.5, 2.7])
        self.assertEqual(compare.parse_llama_bench(LLAMA_BENCH, one("tg4")), [0.86, 8.4])
        for deep in ({"n_prompt": 0, "n_depth": 4096}, {"n_prompt": 4096}):
            text = json.dumps([{**deep, "n_gen": 4, "samples_ts": [3.5]}])
            self.assertEqual(compare.parse_llama_bench(text, one("tg4@4096")), [3.5])
            self.assertRaises(compare.Failed, compare.parse_llama_bench, text, one("tg4"))
        self.assertRaises(compare.Failed, compare.parse_llama_bench, LLAMA_BENCH, one("pp512"))
        self.assertRaises(compare.Failed, compare.parse_llama_bench, "error: no model", one("pp16"))

    def test_batched_bench_in_both_shapes(self):
        self.assertEqual(compare.parse_batched(BATCHED_JSON, one("b8")), [50.25])
        self.assertEqual(compare.parse_batched(BATCHED_TABLE, one("b8")), [47.40])
        for text in (BATCHED_JSON, BATCHED_TABLE, ""):
            self.assertRaises(compare.Failed, compare.parse_batched, text, one("b4"))


class Flags(unittest.TestCase):
    def setUp(self):
        self.llama = compare.Peer("llama.cpp", "llama", "llama-b", compare.LLAMA_CHOICES, compare.llama_depth)
        self.ik = compare.Peer("ik_llama.cpp", "ik", "ik-b", compare.IK_CHOICES, compare.ik_depth)

    def test_every_combination_is_tried(self):
        self.assertEqual(self.llama.flag_sets(one("pp16"), LLAMA_HELP), [
            ["--repack", "1", "-fa", "1"], ["--repack", "1", "-fa", "0"],
            ["--repack", "0", "-fa", "1"], ["--repack", "0", "-fa", "0"]])
        self.assertEqual(self.ik.flag_sets(one("tg4"), IK_HELP), [
            ["-rtr", "1", "-fa", "1", "-fmoe", "1", "-mla", "3"], ["-rtr", "0", "-fa", "1", "-fmoe", "1", "-mla", "3"]])

    def test_the_batched_programs_spell_them_otherwise(self):
        self.assertIn(["--no-repack", "-fa", "off"], self.llama.flag_sets(one("b8"), LLAMA_HELP))
        self.assertEqual(self.ik.flag_sets(one("b8"), IK_HELP),
                         [["-rtr", "-fa", "on", "-mla", "3"], ["-fa", "on", "-mla", "3"]])

    def test_unknown_flags_are_left_out(self):
        self.assertEqual(self.llama.flag_sets(one("pp16"), "-m, --model, --no-repack-x"), [[]])
        self.assertEqual(self.llama.flag_sets(one("pp16"), "-fa, --flash-attn"), [["-fa", "1"], ["-fa", "0"]])

    def test_commands(self):
        self.assertEqual(self.ik.command(one("tg4"), ["-rtr", "1"], "m.gguf", 2, 3),
                         "ik -m m.gguf -t 2 -p 0 -n 4 -r 3 -o json -rtr 1".split())
        self.assertEqual(self.ik.command(one("b8"), ["-rtr"], "m.gguf", 2, 3),
                         "ik-b -m m.gguf -t 2 -tb 2 -c 512 -npp 16 -ntg 32 -npl 8 -rtr".split())
        self.assertEqual(self.ik.command(one("tg4@4096"), [], "m.gguf", 2, 3),
                         "ik -m m.gguf -t 2 -p 0 -n 0 -gp 4096,4 -r 3 -o json".split())
        self.assertEqual(self.llama.command(one("tg4@4096"), [], "m.gguf", 2, 3),
                         "llama -m m.gguf -t 2 -p 0 -n 4 -d 4096 -r 3 -o json".split())
        self.assertIn("1536", self.ik.command(one("b32"), [], "m.gguf", 2, 3))


class Machine:
    """Plays the programs: the peaks it measures in turn, and the rate of each set of peer flags."""

    def __init__(self, peaks, rates):
        self.peaks, self.rates, self.calls = list(peaks), rates, []

    def __call__(self, command):
        self.calls.append(command)
        if command[1] == "--help":
            return 0, "", LLAMA_HELP
        if command[:2] == ["dw", "fit"]:
            return 1, FIT % self.peaks.pop(0), ""  # 1: the model does not fit, the peak was measured all the same
        if command[:2] == ["dw", "bench"]:
            return 0, DEEPWELL, ""
        rate = self.rates(command)
        if rate is None:
            return 3, "", "loading\nerror: unknown model\n"
        return 0, json.dumps([{"n_prompt": 16, "n_gen": 0, "samples_ts": [rate, rate + 1, rate - 1]}]), ""


def comparison(machine, pairs, tuning_rounds=1):
    options = argparse.Namespace(deepwell="dw", model="m.gguf", threads=2, repeats=3, pairs=pairs,
                                 tuning_rounds=tuning_rounds)
    return compare.Comparison(options, machine, lambda line: None)


class Pairing(unittest.TestCase):
    peer = compare.Peer("llama.cpp", "llama", None, compare.LLAMA_CHOICES, compare.llama_depth)

    def test_the_fastest_flags_run_in_turn_with_deepwell(self):
        machine = Machine([900.0] * 3, lambda c: 100.0 if c[-4:] == ["--repack", "0", "-fa", "1"] else 50.0)
        result = comparison(machine, 2).compare(self.peer, one("pp16"))
        self.assertEqual(result["flags"], ["--repack", "0", "-fa", "1"])
        self.assertEqual(len(result["tuning"]), 4)
        self.assertEqual([c[1] if c[0] == "dw" else c[0] for c in machine.calls[5:]],
                         ["fit", "bench", "llama", "fit", "bench", "llama", "fit"])
        self.assertEqual((result["pairs_kept"], result["ratio"]), (2, 1.9))
        self.assertEqual((result["deepwell_tokens_per_second"], result["peer_tokens_per_second"]), (190.0, 100.0))
        self.assertAlmostEqual(result["deepwell_peak_fraction"], 0.5)
        self.assertAlmostEqual(result["peer_peak_fraction"], 0.5 / 1.9)

    def test_sequences_are_equal_where_the_peer_feeds_them_so(self):
        peer = compare.Peer("ik_llama.cpp", "ik", "ik-b", compare.IK_CHOICES, compare.ik_depth, equal=True)
        for test, equal in (("b4", True), ("pp16", False)):
            calls = []
            runner = comparison(lambda command, calls=calls: calls.append(command) or (0, DEEPWELL, ""), 1)
            runner.deepwell(one(test), peer.equal and one(test).batched)
            self.assertEqual("--equal" in calls[0], equal)

    def test_pairs_in_which_the_peak_moved_do_not_count(self):
        # Over the pairs: 900 -> 450 (dropped), 450 -> 900 (dropped), 900 -> 730 (kept), 730 -> 580 (dropped).
        machine = Machine([900.0, 450.0, 900.0, 730.0, 580.0], lambda c: 100.0)
        result = comparison(machine, 4).compare(self.peer, one("pp16"))
        self.assertEqual([pair["kept"] for pair in result["pairs"]], [False, False, True, False])
        self.assertEqual(result["pairs_kept"], 1)

    def test_no_pair_left_gives_no_ratio(self):
        result = comparison(Machine([900.0, 450.0], lambda c: 100.0), 1).compare(self.peer, one("pp16"))
        self.assertEqual(result["pairs_kept"], 0)
        self.assertNotIn("ratio", result)
        self.assertIn("| pp16 | llama.cpp | - | - | - | - | - | 0 of 1 |", compare.table([result]))

    def test_the_median_is_of_the_ratios(self):
        pairs = [{"deepwell": d, "peer": p, "ratio": d / p, "peak_fraction": None, "kept": True}
                 for d, p in [(10, 10), (40, 10), (30, 20)]]
        result = compare.summary(pairs)
        self.assertEqual((result["ratio"], result["deepwell_tokens_per_second"], result["peer_tokens_per_second"]),
                         (1.5, 30, 10))
        self.assertIsNone(result["deepwell_peak_fraction"])

    def test_flags_that_do_not_run_are_passed_over(self):
        machine = Machine([900.0] * 2, lambda c: None if "0" in c[-3:] else 70.0)
        result = comparison(machine, 1).compare(self.peer, one("pp16"))
        self.assertEqual(result["flags"], ["--repack", "1", "-fa", "1"])
        self.assertEqual(sum("error" in tried for tried in result["tuning"]), 3)

    def test_tuning_takes_the_best_of_its_rounds(self):
        disturbed = iter([60.0, 10.0, 20.0, 30.0, 50.0, 70.0, 20.0, 30.0, 70.0])
        machine = Machine([900.0] * 2, lambda c: next(disturbed))
        result = comparison(machine, 1, tuning_rounds=2).compare(self.peer, one("pp16"))
        self.assertEqual([tried["tokens_per_second"] for tried in result["tuning"]], [60.0, 70.0, 20.0, 30.0])
        self.assertEqual(result["flags"], ["--repack", "1", "-fa", "0"])

    def test_a_peer_that_does_not_run_is_an_error_with_its_last_line(self):
        result = comparison(Machine([], lambda c: None), 1).compare(self.peer, one("pp16"))
        self.assertIn("exit code 3: error: unknown model", result["error"])
        self.assertIn("0 of 0", compare.table([result]))
        result = comparison(Machine([], lambda c: None), 1).compare(self.peer, one("b8"))
        self.assertIn("no llama-batched-bench of llama.cpp was given", result["error"])


class CommandLine(unittest.TestCase):
    def test_wrong_usage_exits_with_2(self):
        for more in ([], ["--ik-bench", "i", "--pairs", "0"], ["--ik-bench", "i", "--tests", "pp"]):
            words = ["--model", "m", "--deepwell", "d", *more]
            with self.subTest(words=words), contextlib.redirect_stderr(io.StringIO()):
                with self.assertRaises(SystemExit) as ended:
                    compare.main(words)
                self.assertEqual(ended.exception.code, 2)

    def test_files_that_are_not_there_are_named_before_anything_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            gone = str(pathlib.Path(folder, "gone"))
            for model, deepwell, peer, named in ((gone, sys.executable, sys.executable, "--model"),
                                                 (__file__, gone, sys.executable, "--deepwell"),
                                                 (__file__, sys.executable, gone, "--llama-bench")):
                err = io.StringIO()
                with contextlib.redirect_stderr(err), self.assertRaises(SystemExit):
                    compare.main(["--model", model, "--deepwell", deepwell, "--llama-bench", peer])
                self.assertRegex(err.getvalue(), f"{named}: .*gone")

    def test_programs_that_do_not_run_exit_with_1_and_a_report(self):
        with tempfile.TemporaryDirectory() as folder:
            broken, report = pathlib.Path(folder, "broken"), pathlib.Path(folder, "out.json")
            broken.write_text("no program")
            broken.chmod(0o755)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = compare.main(["--model", __file__, "--deepwell", str(broken), "--llama-bench", str(broken),
                                     "--tests", "pp16", "--json", str(report)])
            self.assertEqual(code, 1)
            self.assertIn(f"{broken}: Exec format error", err.getvalue())
            self.assertIn("error", json.loads(report.read_text())["results"][0])

    def test_a_program_that_hangs_is_ended(self):
        with self.assertRaisesRegex(compare.Failed, "not done after"):
            compare.run_program([sys.executable, "-c", "import time; time.sleep(60)"], 0.2, None)


if __name__ == "__main__":
    unittest.main()
