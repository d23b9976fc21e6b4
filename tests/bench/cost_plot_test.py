# SPDX-License-Identifier: Apache-2.0
"""Goal: bench/cost_plot.py measures each point once, goes on where it was stopped, keeps what failed apart, and draws
medians. Programs are stood in for by rates."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import compare
import cost_plot


class Stub:
    """In compare.Comparison's place: a token takes as many ms as the test has sequences and tokens before it."""

    def __init__(self):
        self.asked, self.tuned = [], []

    def deepwell(self, test):
        self.asked.append(("deepwell", test.name))
        return 1000 / (test.batch + test.depth), None

    def tune(self, engine, test):
        self.tuned.append((engine.name, test.name, test.depth))
        return ["-x"], []

    def peer(self, engine, test, flags, repeats):
        self.asked.append((engine.name, test.name))
        if test.depth == 64:
            raise compare.Failed("no room")
        return 500 / (test.batch + test.depth)


class CostPlot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "cost.json"
        self.options = types.SimpleNamespace(model="folder/m.gguf", threads=2, repeats=1, llama_bench="x",
                                             llama_batched="y", ik_bench=None, ik_batched=None)

    def measured(self):
        stub = Stub()
        with contextlib.redirect_stderr(io.StringIO()):
            measurement = cost_plot.Measurement(self.options, self.file)
            for point in cost_plot.points([0, 64], [4], [1]):
                measurement.add(stub, *point)
        return stub, json.loads(self.file.read_text())

    def test_each_point_once(self):
        stub, found = self.measured()
        self.assertEqual(found["model"], "m.gguf")
        self.assertEqual(len(found["points"]), 2 * (2 + 1 + 2))
        self.assertEqual([p for p in found["points"] if "error" in p],
                         [{"panel": "depth", "x": 64, "engine": "llama.cpp", "error": "no room"}])
        # A peer's flags are tried once for each kind of test, and where nothing stands before.
        self.assertEqual(len(stub.tuned), 3)
        self.assertTrue(all(depth in (0, compare.BATCH_PROMPT) for _, _, depth in stub.tuned))
        again, same = self.measured()
        self.assertEqual((again.asked, same), ([], found))

    def test_goes_on_where_it_was_stopped(self):
        _, found = self.measured()
        gone = found["points"].pop(2)
        self.file.write_text(json.dumps(found))
        stub, whole = self.measured()
        self.assertEqual(stub.asked, [(gone["engine"], "tg16@64")])
        self.assertCountEqual(whole["points"], [*found["points"], gone])

    def test_series_are_medians_of_what_ran(self):
        _, found = self.measured()
        slower = {"points": [{"panel": "depth", "x": 64, "engine": "deepwell", "ms_per_token": 69.0}]}
        self.assertEqual(cost_plot.series([found, slower], "depth", "deepwell"), ([0, 64], [1.0, 67.0]))
        self.assertEqual(cost_plot.series([found], "depth", "llama.cpp"), ([0], [2.0]))

    def test_own_flags(self):
        arguments = ["--model", "m", "--depths", "0,8", "--threads", "2"]
        self.assertEqual(cost_plot.numbers(cost_plot.take(arguments, "--depths", "1")), [0, 8])
        self.assertEqual(cost_plot.take(arguments, "--batches", "1"), "1")
        self.assertEqual(arguments, ["--model", "m", "--threads", "2"])


if __name__ == "__main__":
    unittest.main()
