#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deepwell's tokenizer and Hugging Face tokenizers on the same text, one core each, taking turns.

Usage: bench/tokenizer_vs_hf.py BUILD_DIR FILE...     FILE: a tokenizer.json or a .gguf

Prints MB/s of both (the best of the turns), the ratio, and the time to load. Hugging Face gets the text in
paragraphs, which is kinder to it than one string of megabytes; its figure is `encode` alone.
Times are processor times: both sides run one thread, and what else the machine does should not count.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

import golden_tokenizer  # noqa: E402
import tokenizer_corpus  # noqa: E402

TURNS = 5


def hugging_face_seconds(tokenizer, paragraphs):
    start = time.process_time()
    for paragraph in paragraphs:
        tokenizer.encode(paragraph, add_special_tokens=False)
    return time.process_time() - start


def main(build, files):
    program = pathlib.Path(build) / "bench/tokenizer_bench"
    text = tokenizer_corpus.prose(8_000_000, 1)
    # A tenth is enough of a sample for the slow side; both rates are per byte.
    paragraphs, size = [], 0
    for paragraph in text.split("\n\n"):
        if size > 800_000:
            break
        paragraphs.append(paragraph + "\n\n")
        size += len(paragraphs[-1].encode())
    size = sum(len(p.encode()) for p in paragraphs)
    with tempfile.TemporaryDirectory() as folder:
        text_file = pathlib.Path(folder) / "text"
        text_file.write_text(text, encoding="utf-8", newline="")
        for file in files:
            tokenizer = golden_tokenizer.load(file)
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(tokenizer.to_str(), encoding="utf-8", newline="")
            ours, theirs = [], []
            for _ in range(TURNS):
                out = subprocess.run([str(program), str(path), str(text_file), "3"], check=True, capture_output=True, text=True)
                ours.append(json.loads(out.stdout))
                theirs.append(size / hugging_face_seconds(tokenizer, paragraphs) / 1e6)
            rates = [o["mb_per_s"] for o in ours]
            ratio = statistics.median(a / b for a, b in zip(rates, theirs))
            print(f"{file}: deepwell {max(rates):.1f} MB/s (median {statistics.median(rates):.1f}), "
                  f"hugging face {max(theirs):.2f} MB/s (median {statistics.median(theirs):.2f}), ratio {ratio:.1f} (median of turns); "
                  f"from vocabulary {min(o['load_ms'] for o in ours):.0f} ms, parsing tokenizer.json {min(o['json_ms'] for o in ours):.0f} ms")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
