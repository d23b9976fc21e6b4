#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: llama.cpp loads what `deepwell convert` writes and computes what the checkpoint's reference computed; our
quantizers' errors are at most those of llama.cpp's.

Method: golden checkpoints converted to F32, their tokens through llama.cpp's C interface, logits against
transformers' (in golden.safetensors); normal and heavy-tailed values through both quantizers. Skips where the Python
packages llama_cpp, gguf and numpy are not installed.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import gguf
    import llama_cpp
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}; `pip install llama-cpp-python gguf numpy` into the tests' Python to compare with it")
    sys.exit(77)

DEEPWELL = os.environ["DEEPWELL"]
ROOT = pathlib.Path(__file__).resolve().parents[3]
CHECKPOINTS = ROOT / "tests" / "golden" / "engine" / "checkpoints"
# llama.cpp ranks V2-236B's groups otherwise, takes V2-Lite as such only with 27 layers, and wants index heads of 64.
CASES = ["llama_llama3", "llama_tied", "qwen2", "qwen3", "qwen3moe", "v3_released", "v3_fp8", "v3_fp4", "llama_gptq"]
TYPES = {"Q8_0": 8, "Q4_0": 2, "Q4_1": 3, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "MXFP4": 39}


def convert(source, out, kind: str) -> None:
    subprocess.run([DEEPWELL, "convert", str(source), str(out), "--type", kind, "--quiet", "--force"], check=True,
                   stdout=subprocess.DEVNULL)


def safetensors(path: pathlib.Path) -> dict:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    kinds = {"F32": "<f4", "I32": "<i4"}
    arrays = {}
    for name, info in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in info["data_offsets"])
            arrays[name] = np.frombuffer(data[begin:end], kinds[info["dtype"]]).reshape(info["shape"])
    return arrays


def llama_logits(path: pathlib.Path, tokens: list[int], vocabulary: int):
    settings = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    assert model, f"{path}: llama.cpp does not load it"
    choices = llama_cpp.llama_context_default_params()
    choices.n_ctx, choices.n_batch, choices.n_ubatch, choices.n_threads, choices.n_threads_batch = 256, 256, 256, 2, 2
    choices.type_k = choices.type_v = 0  # F32
    choices.flash_attn_type = 0
    context = llama_cpp.llama_init_from_model(model, choices)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    assert llama_cpp.llama_decode(context, batch) == 0, path
    logits = np.array([np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (vocabulary,)).copy()
                       for i in range(len(tokens))])
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return logits


def check_models(folder: pathlib.Path) -> int:
    failures = 0
    for case in CASES:
        golden = safetensors(CHECKPOINTS / case / "golden.safetensors")
        out = folder / f"{case}.gguf"
        convert(CHECKPOINTS / case, out, "F32")
        got = llama_logits(out, golden["tokens"].tolist(), golden["logits"].shape[1])
        far = float(np.abs(got - golden["logits"]).max())
        # Its activations are F32 here, but its products are summed otherwise.
        verdict = "ok" if far < 5e-3 else "FAILED"
        failures += verdict != "ok"
        print(f"{verdict}: {case} through llama.cpp, logits at most {far:.1e} from transformers'")
    return failures


def quantize_chunk():
    library = next((pathlib.Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so"))
    function = ctypes.CDLL(str(library)).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                         ctypes.c_void_p]
    return function


def check_quantizers(folder: pathlib.Path) -> int:
    failures = 0
    reference = quantize_chunk()
    random = np.random.default_rng(5)
    draws = {"normal": random.normal(0, 0.02, (256, 1024)), "heavy": random.standard_t(4, (256, 1024)) * 0.02}
    for draw, values in draws.items():
        values = np.ascontiguousarray(values, dtype=np.float32)
        source = folder / f"{draw}.gguf"
        writer = gguf.GGUFWriter(source, "llama")
        writer.add_tensor("blk.0.values.weight", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        for name, number in TYPES.items():
            kind = gguf.GGMLQuantizationType(number)
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            theirs = np.zeros(values.size // elements * size, dtype=np.uint8)
            written = reference(number, values.ctypes.data, theirs.ctypes.data, 0, *values.shape, None)
            assert written == theirs.nbytes
            theirs = gguf.dequantize(theirs.reshape(len(values), -1), kind)
            out = folder / f"{draw}-{name}.gguf"
            convert(source, out, name)
            tensor = gguf.GGUFReader(out).tensors[0]
            assert tensor.tensor_type == kind, tensor.tensor_type
            ours = gguf.dequantize(tensor.data, kind)
            error = [float(np.sqrt(np.mean((each.reshape(values.shape) - values) ** 2)) / values.std())
                     for each in (ours, theirs)]
            verdict = "ok" if error[0] <= error[1] * 1.0005 else "FAILED"
            failures += verdict != "ok"
            print(f"{verdict}: {name} of {draw} values: error {error[0]:.5f}, llama.cpp's {error[1]:.5f} "
                  f"({error[0] / error[1]:.3f})")
    return failures


@llama_cpp.llama_log_callback
def silent(level, text, data):
    pass


def main() -> int:
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        return 1 if check_quantizers(folder) + check_models(folder) else 0


if __name__ == "__main__":
    sys.exit(main())
