#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges constrained decoding by JSON-Schema-Test-Suite: nothing invalid may ever be let through.

Usage: json_schema_suite.py PROBE FOLDER [--draws N] [--list]
PROBE is the built program grammar_probe; FOLDER holds a draft's test files (tests/draft2020-12 of the suite).
For every schema: it is refused with a reason, or every instance that the suite calls invalid is refused in several
spellings, and random texts that the grammar lets through are valid (judged by the package jsonschema). Valid
instances that are refused are counted: stricter than the schema is allowed (keys in order), looser never.
Exits 1 when anything invalid got through.
"""
import argparse
import collections
import decimal
import json
import pathlib
import re
import subprocess
import sys

import jsonschema


def spellings(instance):
    """Ways to write an instance; all of them mean the same."""
    texts = [json.dumps(instance, ensure_ascii=False, separators=(",", ":")), json.dumps(instance),
             json.dumps(instance, indent=2, ensure_ascii=False)]
    if isinstance(instance, dict):
        texts.append(json.dumps(dict(reversed(instance.items()))))
    return list(dict.fromkeys(texts))


def formats(schema):
    """Whether the word format occurs: the suite takes it for a remark, this engine holds to it."""
    return '"format"' in json.dumps(schema)


def run(probe, folder, draws):
    """Yields (file, group, outcome of the probe, rows) with rows (valid, instance, texts, fits)."""
    tasks = []
    for path in sorted(pathlib.Path(folder).rglob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            rows, texts = [], []
            for test in group["tests"]:
                ways = spellings(test["data"])
                rows.append((test["valid"], test["data"], ways, len(texts)))
                texts += ways
            tasks.append((path.name, group, rows, texts))
    lines = "".join(json.dumps({"schema": g["schema"], "texts": t, "draws": draws}) + "\n" for _, g, _, t in tasks)
    done = subprocess.run([probe], input=lines, capture_output=True, text=True, check=True)
    answers = done.stdout.split("\n")[:-1]
    if len(answers) != len(tasks):
        raise SystemExit(f"the probe answered {len(answers)} of {len(tasks)} tasks")
    for (name, group, rows, _), line in zip(tasks, answers):
        yield name, group, json.loads(line), rows


def judge(probe, folder, draws):
    """Counts, and a line for each wrong."""
    count, wrong, reasons = collections.Counter(), [], collections.Counter()
    for name, group, answer, rows in run(probe, folder, draws):
        count["schemas"] += 1
        where = f"{name}: {group['description']}"
        if "error" in answer:
            count["schemas refused"] += 1
            reasons[re.sub(r"\d+", "N", answer["error"])[:90]] += 1
            if not answer["error"].strip():
                wrong.append(f"{where}: refused without a reason")
            continue
        for valid, instance, ways, first in rows:
            fits = answer["fits"][first:first + len(ways)]
            count["valid instances" if valid else "invalid instances"] += 1
            if valid and not any(fits):
                count["valid instances refused"] += 1
            if not valid and any(fits):
                wrong.append(f"{where}: lets {json.dumps(instance)[:100]} through")
        validators = [(jsonschema.Draft202012Validator(json.loads(json.dumps(group["schema"]), parse_float=kind)), kind)
                      for kind in (float, decimal.Decimal)]  # floats know no multiple of 0.0001, decimals no 1.0 == 1
        for text in answer["drawn"]:
            count["random texts"] += 1
            try:
                valid = formats(group["schema"]) or any(v.is_valid(json.loads(text, parse_float=k)) for v, k in validators)
            except ValueError:
                wrong.append(f"{where}: drew what is not JSON: {text[:100]!r}")
                continue
            except re.error:  # a pattern in JavaScript's syntax that Python lacks
                count["random texts not judged"] += 1
                continue
            if not valid:
                wrong.append(f"{where}: drew {text[:100]!r}, which is not valid")
        count["random texts cut"] += answer["cut"]
    return count, wrong, reasons


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probe")
    parser.add_argument("folder")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--list", action="store_true", help="why schemas were refused")
    options = parser.parse_args()
    count, wrong, reasons = judge(options.probe, options.folder, options.draws)
    for line in wrong:
        print(line)
    if options.list:
        for reason, times in reasons.most_common():
            print(f"{times:4} {reason}")
    print(", ".join(f"{value} {key}" for key, value in count.items()) + f"; wrong: {len(wrong)}")
    return 1 if wrong or not count["schemas"] else 0


if __name__ == "__main__":
    sys.exit(main())
