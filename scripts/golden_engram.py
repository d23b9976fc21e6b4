#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/engram.txt: what follows from the released config of DeepSeek V4.1-Flash for its Engram
layers, and where some runs of compressed ids lie in their tables. Each line is a name, its layer, and numbers.

Usage: scripts/golden_engram.py    (needs numpy)
"""

import pathlib

import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "engram.txt"
LAYERS, LENGTH, HEADS, ROWS, IDS, PAD = [1, 14], 4, 8, 16_000_000, 99_092, 2


def is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def main() -> None:
    generator = np.random.default_rng(7)
    used: set[int] = set()
    lines = []
    for layer in LAYERS:
        multipliers = np.random.default_rng(10007 * layer).integers(0, (2**63 - 1) // IDS // 2, LENGTH) * 2 + 1
        primes = []
        for _ in range(LENGTH - 1):
            prime = ROWS - 1
            for _ in range(HEADS):
                prime += 1
                while prime in used or not is_prime(prime):
                    prime += 1
                used.add(prime)
                primes.append(prime)
        offsets = np.cumsum([0] + primes[:-1])
        lines += [["multipliers", layer, *multipliers], ["primes", layer, *primes], ["offsets", layer, *offsets]]
        for kept in (LENGTH, LENGTH, LENGTH, 3, 2, 1):  # the last are at a text's start
            run = [*generator.integers(0, IDS, kept), *[-1] * (LENGTH - kept)]  # own id first
            ids = np.array([PAD if i < 0 else i for i in run], np.int64)
            hashes = np.bitwise_xor.accumulate(ids * multipliers)[1:].repeat(HEADS)
            lines += [["run", layer, *run], ["places", layer, *(hashes % primes + offsets)]]
    OUT.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))


if __name__ == "__main__":
    main()
