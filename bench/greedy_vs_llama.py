#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Greedy tokens beside llama.cpp's: are they the same, and where not, how close was the call?

  greedy_vs_llama.py --deepwell build/release/bin/deepwell [--tokens 64] [--prompt 24] MODEL.gguf...

llama.cpp (its Python package, llama-cpp-python, built elsewhere) continues a prompt of random tokens greedily;
`deepwell logits` then says what it would have written at each place of the very same text: equal choices at every
place are equal texts. Both compute in floats (F16 weights as F32, F32 cache, no flash attention). Where they part, the table shows the
place and how far apart the two tokens are in Deepwell's own logits; the differences are those of the logits up to
there: where all places differ, one of the two computes something else; where few do, a choice (of experts, of entries)
tipped by rounding. Tensors named golden.* are left out, as llama.cpp refuses what it does not know.
"""
import argparse
import ctypes
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import gguf
import numpy as np


def plain_file(path, folder, layers):
    """The file as llama.cpp takes it: no golden.*, a vocabulary of its size without texts, halves as floats (it would
    round activations to halves, too). With `layers`, the last layer is there as often as makes that many."""
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[key].contents() if key in reader.fields else None
    out = pathlib.Path(folder) / pathlib.Path(path).name
    writer = gguf.GGUFWriter(out, field("general.architecture"))
    for key, value in reader.fields.items():
        if key.startswith(("GGUF.", "golden.")) or key in ("general.architecture", "general.alignment"):
            continue
        kind = value.types[0]
        content = value.contents()
        if key.endswith(".block_count"):
            count, content = content, max(content, layers)
        writer.add_key_value(key, content, kind, value.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    vocabulary = next(int(t.shape[1]) for t in reader.tensors if t.name == "token_embd.weight")
    if field("tokenizer.ggml.model") is None:
        writer.add_string("tokenizer.ggml.model", "none")
        writer.add_vocab_size(vocabulary)
    for tensor in reader.tensors:
        last = f"blk.{count - 1}."
        more = range(count, max(count, layers)) if tensor.name.startswith(last) else []
        if not tensor.name.startswith("golden."):
            for name in [tensor.name] + [tensor.name.replace(last, f"blk.{i}.") for i in more]:
                if tensor.tensor_type == gguf.GGMLQuantizationType.F16:
                    writer.add_tensor(name, tensor.data.astype(np.float32))
                else:
                    writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(out), vocabulary


def llama_continues(path, vocabulary, prompt, count):
    """The prompt and `count` greedy tokens, and the logits of every place of both."""
    import llama_cpp as llama

    said = []
    listen = llama.llama_log_callback(lambda level, text, data: said.append(text.decode(errors="replace").strip()))
    llama.llama_log_set(listen, ctypes.c_void_p(0))
    why_not = lambda: next((line for line in said if "error" in line.lower()), "it does not say why")
    model_options = llama.llama_model_default_params()
    model_options.use_extra_bufts = False
    model = llama.llama_model_load_from_file(path.encode(), model_options)
    if not model:
        return None, why_not()
    options = llama.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = 512
    options.n_threads = options.n_threads_batch = 1
    options.type_k = options.type_v = 0  # GGML_TYPE_F32
    options.flash_attn_type = 0
    context = llama.llama_init_from_model(model, options)
    if not context:
        llama.llama_model_free(model)
        return None, why_not()
    tokens, rows = list(prompt), []
    batch = llama.llama_batch_init(512, 0, 1)

    def step(ids, first):
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, first + i, 1, 1
            batch.seq_id[i][0] = 0
        if llama.llama_decode(context, batch) != 0:
            raise SystemExit(f"{path}: llama.cpp cannot decode")
        for i in range(len(ids)):
            rows.append(np.ctypeslib.as_array(llama.llama_get_logits_ith(context, i), (vocabulary,)).copy())

    step(tokens, 0)
    for _ in range(count):
        tokens.append(int(np.argmax(rows[-1])))
        step(tokens[-1:], len(tokens) - 1)
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    llama.llama_model_free(model)
    return tokens, np.array(rows)


def continue_apart(queue, *arguments):
    """In a process of its own: what llama.cpp does not expect of a file it answers by aborting."""
    os.environ["GGML_NO_BACKTRACE"] = "1"
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    queue.put(llama_continues(*arguments))


def llama_apart(*arguments):
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=continue_apart, args=(queue, *arguments))
    process.start()
    while process.is_alive() and queue.empty():
        process.join(0.05)
    answer = (None, "it aborts") if queue.empty() else queue.get()
    process.join()
    return answer


def deepwell_logits(program, path, tokens):
    out = subprocess.run([program, "logits", path, "--tokens", ",".join(map(str, tokens)), "--json", "--all", "--top", "0"],
                         check=True, capture_output=True, text=True).stdout
    return np.array([json.loads(line)["logits"] for line in out.splitlines()], dtype=np.float64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--deepwell", required=True)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=24)
    parser.add_argument("--layers", type=int, default=0, help="repeat the last layer up to this many (llama.cpp knows V2-Lite by its 27)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("| model | greedy tokens the same | logits differ by: median of places | largest | where they part |\n|---|---|---|---|---|")
    parted = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in args.models:
            name = pathlib.Path(path).stem
            plain, vocabulary = plain_file(path, folder, args.layers)
            prompt = [random.Random(args.seed).randrange(vocabulary) for _ in range(args.prompt)]
            tokens, theirs = llama_apart(plain, vocabulary, prompt, args.tokens)
            if tokens is None:
                print(f"| {name} | – | – | – | llama.cpp does not load it: {theirs[:120]} |", flush=True)
                continue
            ours = deepwell_logits(args.deepwell, plain, tokens)
            first, end = args.prompt - 1, len(tokens) - 1
            same = next((i for i in range(first, end) if np.argmax(ours[i]) != tokens[i + 1]), end) - first
            row = min(first + same, end)
            far = np.abs(ours[:row + 1] - theirs[:row + 1]).max(axis=1)
            where = "nowhere"
            if same < end - first:
                parted += 1
                gap = ours[row].max() - ours[row][tokens[row + 1]]
                where = f"token {same}, with {gap:.2e} between the two"
            print(f"| {name} | {same} of {end - first} | {np.median(far):.1e} | {far.max():.1e} | {where} |", flush=True)
    return 1 if parted else 0


if __name__ == "__main__":
    sys.exit(main())
