#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Constrained decoding against a selection of JSON-Schema-Test-Suite (draft 2020-12): nothing invalid gets through.

The selection lies in tests/golden/json_schema_suite; scripts/json_schema_suite.py judges the whole suite.
"""
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import json_schema_suite
except ImportError as missing:
    print(f"skipped: {missing}; scripts/setup.sh test makes .venv with it")
    sys.exit(77)


class JsonSchemaSuite(unittest.TestCase):
    def test_nothing_invalid_gets_through(self):
        count, wrong, _ = json_schema_suite.judge(os.environ["GRAMMAR_PROBE"],
                                                  ROOT / "tests/golden/json_schema_suite", 20)
        self.assertEqual(wrong, [])
        # It must not pass by refusing everything.
        self.assertGreater(count["schemas"] - count["schemas refused"], 130)
        self.assertGreater(count["valid instances"] - count["valid instances refused"], 250)
        self.assertGreater(count["invalid instances"], 300)
        self.assertGreater(count["random texts"], 2000)


if __name__ == "__main__":
    unittest.main()
