#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/quant/TYPE.bin: file blocks of a weight type and the floats that gguf makes of them.

Each file: u32 bytes of blocks, u32 number of floats, the blocks, the floats (little-endian). Blocks are random, then
adversarial: scales of infinity, NaN, zero, the smallest and largest halves of both signs; all bytes 0x00 and 0xFF.

Usage: scripts/python.sh scripts/golden_quant.py    (needs gguf and numpy: scripts/setup.sh test)
"""

import pathlib
import struct
import warnings

import gguf
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "quant"
HALVES = [0x7C00, 0xFC00, 0x7E00, 0x0000, 0x8000, 0x0001, 0x03FF, 0x8001, 0x7BFF, 0xFBFF, 0x0400, 0x3C00]
# Type -> where its halves (scale, minimum) lie in a block. None for types whose scales are bytes or in pieces.
HALF_PLACES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
               "Q6_K": [208], "Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "NVFP4": [],
               "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ1_M": []}
FLOATS = {
    "F32": [0x7F800000, 0xFF800000, 0x7FC00000, 0, 0x80000000, 1, 0x7FFFFF, 0x80000001, 0x7F7FFFFF, 0xFFFFFFFF, 0x3F800000],
    "F16": HALVES + [0xFFFF],
    "BF16": [0x7F80, 0xFF80, 0x7FC0, 0, 0x8000, 1, 0x7F, 0x8001, 0x7F7F, 0xFFFF, 0x3F80],
}


def float_bytes(name: str, random: np.random.Generator) -> bytes:
    kind = "<u4" if name == "F32" else "<u2"
    special = np.array(FLOATS[name], dtype=kind)
    normal = random.standard_normal(64).astype("<f4")
    if name == "F32":
        plain = normal.view("<u4")
    elif name == "F16":
        plain = normal.astype("<f2").view("<u2")
    else:
        plain = (normal.view("<u4") >> 16).astype("<u2")
    return np.concatenate([special, plain]).tobytes()


def block_bytes(name: str, size: int, random: np.random.Generator) -> bytes:
    def random_block(halves: list[float]) -> bytearray:
        block = bytearray(random.bytes(size))
        for place, value in zip(HALF_PLACES[name], halves):
            block[place:place + 2] = np.float16(value).tobytes()
        return block

    blocks = [random_block(list(random.normal(0, 0.1, 2))) for _ in range(3)]
    for i, bits in enumerate(HALVES[:10] if size > 100 else HALVES):
        block = bytearray(random.bytes(size))
        for n, place in enumerate(HALF_PLACES[name]):
            block[place:place + 2] = struct.pack("<H", HALVES[(i + 5 * n) % len(HALVES)])
        blocks.append(block)
    if name == "MXFP4":  # every exponent: subnormal, the smallest and largest normal, overflow to infinity
        blocks += [bytearray([e]) + bytearray(random.bytes(size - 1)) for e in [0, 1, 2, 3, 126, 127, 128, 252, 254, 255]]
    if name == "NVFP4":  # every code of a scale
        blocks += [bytearray(range(e, e + 4)) + bytearray(random.bytes(size - 4)) for e in range(0, 256, 4)]
    blocks += [bytearray(size), bytearray(b"\xff" * size)]
    return b"".join(blocks)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # infinities and NaN are wanted here
    for seed, name in enumerate([*FLOATS, *HALF_PLACES]):
        random = np.random.default_rng(seed)
        kind = gguf.GGMLQuantizationType[name]
        _, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = float_bytes(name, random) if name in FLOATS else block_bytes(name, size, random)
        stored = {"F32": np.float32, "F16": np.float16}.get(name, np.uint8)
        values = gguf.dequantize(np.frombuffer(blocks, dtype=stored), kind)
        floats = np.ascontiguousarray(values, dtype="<f4").reshape(-1)
        path = OUT / f"{name}.bin"
        path.write_bytes(struct.pack("<II", len(blocks), floats.size) + blocks + floats.tobytes())
        print(f"{path.name}: {floats.size} values, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
