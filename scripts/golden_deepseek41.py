#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of DeepSeek V4.1 in the form of golden_models.py, by deepseek41_reference.py. Every feature is on:
window layers, entries of two tokens and of one, several layers that make entries, layers that select for others,
candidate blocks that exclude most entries, Engram at two layers with n-grams of 2 to 4, clamped experts, sinks.
Of the seeds' texts the first is taken in which no choice is near a tie: another's rounding must not tip it.

Usage: scripts/golden_deepseek41.py [CASE...]    (needs numpy and gguf)
"""

import pathlib
import sys

import gguf
import numpy as np

import golden_gguf
from deepseek41_reference import (COMMON, computed, engram_multipliers, engram_offsets, engram_primes, random_weights,
                                  stays_float)

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "models"
TOKENS = 256
CASES = {
    # As released, in small: each kind of layer in its order.
    "v41": (dict(num_hidden_layers=8, compress_ratios=[0, 0, 2, 2, 2, 1, 1, 1], kv_source_layer_ids=[2, 4, 5],
                 index_source_layer_ids=[2, 4, 5, 6], candidate_source_layer_id=5, engram_layer_ids=[1, 5]),
            (101, 102, 103)),
    # Entries and Engram from the first layer on, window layers between, an index source that makes no entries before
    # the candidates and two after them, an eps that shows, no YaRN. The file names no sources: its tensors do.
    "v41_mixed": (dict(num_hidden_layers=7, compress_ratios=[2, 2, 0, 1, 1, 0, 1], kv_source_layer_ids=[0, 3],
                       index_source_layer_ids=[0, 1, 3, 4, 6], candidate_source_layer_id=3, engram_layer_ids=[0, 4],
                       rms_norm_eps=1e-3, rope_scaling=None, routed_scaling_factor=2.5), (104, 105, 106)),
}


def token_map(config) -> np.ndarray:
    """As if pairs of neighbouring tokens read alike, and each fifth pair as the first does."""
    pairs = np.arange(config["vocab_size"]) // 2
    pairs[pairs % 5 == 4] = 0
    _, first = np.unique(pairs, return_index=True)
    order = {int(pairs[at]): new for new, at in enumerate(np.sort(first))}
    return np.array([order[int(pair)] for pair in pairs])


NAMES = {"attn_norm": "attn_norm", "ffn_norm": "ffn_norm", "attn.wq_a": "attn_q_a", "attn.q_norm": "attn_q_a_norm",
         "attn.wq_b": "attn_q_b", "attn.wkv": "attn_kv", "attn.kv_norm": "attn_kv_a_norm",
         "attn.wo_b": "attn_output_b", "attn.wo_a": "attn_output_a", "attn.attn_sink": "attn_sinks",
         "attn.compressor.wkv": "attn_compressor_kv", "attn.compressor.wgate": "attn_compressor_gate",
         "attn.compressor.norm": "attn_compressor_norm", "attn.indexer.wk": "indexer.attn_k",
         "attn.indexer.k_norm": "indexer.k_norm", "attn.indexer.wq_b": "indexer.attn_q_b",
         "attn.indexer.weights_proj": "indexer.proj", "ffn.gate": "ffn_gate_inp",
         "ffn.shared_experts.w1": "ffn_gate_shexp", "ffn.shared_experts.w3": "ffn_up_shexp",
         "ffn.shared_experts.w2": "ffn_down_shexp", "engram.embed": "engram_embd", "engram.wkv": "engram_wkv",
         "engram.q_weight": "engram_q", "engram.k_weight": "engram_k",
         **{f"hc_{which}_{part}": f"hc_{which}_{part}" for which in ("attn", "ffn") for part in ("fn", "base", "scale")}}
FIXED = {"embed.weight": "token_embd.weight", "norm.weight": "output_norm.weight", "head.weight": "output.weight"}


def tensors(config, weights):
    """(name, array) of every tensor in the GGUF."""
    for name, value in weights.items():
        kept = value if stays_float(name) else value.astype(np.float16)
        if name in FIXED:
            yield FIXED[name], kept
            continue
        _, layer, rest = name.split(".", 2)
        if rest == "ffn.gate.bias":
            yield f"blk.{layer}.exp_probs_b.bias", kept
        elif rest == "attn.wo_a.weight":
            yield f"blk.{layer}.attn_output_a.weight", kept.reshape(config["o_groups"], config["o_lora_rank"], -1)
        elif not rest.startswith("ffn.experts."):
            yield f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight", kept
    for layer in range(config["num_hidden_layers"]):
        for part, to in (("w1", "gate"), ("w3", "up"), ("w2", "down")):
            all_ = [weights[f"layers.{layer}.ffn.experts.{e}.{part}.weight"] for e in range(config["n_routed_experts"])]
            yield f"blk.{layer}.ffn_{to}_exps.weight", np.stack(all_).astype(np.float16)


def write(case: str, config, seed: int) -> None:
    c = config
    weights = random_weights(c, seed)
    tokens, logits = computed(c, weights, token_map(c), TOKENS, seed)
    path = OUT / f"{case}_{seed}.gguf"
    arch = "deepseek41"
    out = gguf.GGUFWriter(path, arch)
    layers = c["num_hidden_layers"]
    out.add_name(case)
    out.add_block_count(layers)
    out.add_context_length(c["max_position_embeddings"])
    out.add_embedding_length(c["hidden_size"])
    out.add_head_count(c["num_attention_heads"])
    out.add_head_count_kv(1)
    out.add_key_length(c["head_dim"])
    out.add_value_length(c["head_dim"])
    out.add_layer_norm_rms_eps(c["rms_norm_eps"])
    out.add_q_lora_rank(c["q_lora_rank"])
    out.add_sliding_window(c["sliding_window"])
    out.add_rope_dimension_count(c["qk_rope_head_dim"])
    out.add_rope_freq_base(c["rope_theta"])
    if c["rope_scaling"] is not None:
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(c["rope_scaling"]["factor"])
        out.add_rope_scaling_orig_ctx_len(c["rope_scaling"]["original_max_position_embeddings"])
        out.add_float32(f"{arch}.rope.scaling.yarn_beta_fast", c["rope_scaling"]["beta_fast"])
        out.add_float32(f"{arch}.rope.scaling.yarn_beta_slow", c["rope_scaling"]["beta_slow"])
    out.add_expert_count(c["n_routed_experts"])
    out.add_expert_used_count(c["num_experts_per_tok"])
    out.add_expert_shared_count(1)
    out.add_expert_feed_forward_length(c["moe_intermediate_size"])
    out.add_expert_weights_scale(c["routed_scaling_factor"])
    out.add_expert_weights_norm(True)
    out.add_uint32(f"{arch}.expert_gating_func", 4)
    out.add_array(f"{arch}.swiglu_clamp_exp", [c["swiglu_limit"]] * layers)
    out.add_array(f"{arch}.swiglu_clamp_shexp", [c["swiglu_limit"]] * layers)
    out.add_uint32(f"{arch}.attention.indexer.head_count", c["index_n_heads"])
    out.add_uint32(f"{arch}.attention.indexer.key_length", c["index_head_dim"])
    out.add_uint32(f"{arch}.attention.indexer.top_k", c["index_topk"])
    out.add_uint32(f"{arch}.attention.output_group_count", c["o_groups"])
    out.add_uint32(f"{arch}.attention.output_lora_rank", c["o_lora_rank"])
    out.add_array(f"{arch}.attention.compress_ratios", c["compress_ratios"])
    out.add_float32(f"{arch}.attention.compress_rope_freq_base", c["compress_rope_theta"])
    if case == "v41":
        out.add_array(f"{arch}.attention.kv_source_layer_ids", c["kv_source_layer_ids"])
        out.add_array(f"{arch}.attention.index_source_layer_ids", c["index_source_layer_ids"])
        out.add_int32(f"{arch}.attention.candidate_source_layer_id", c["candidate_source_layer_id"])
    out.add_uint32(f"{arch}.attention.candidate_topk_blocks", c["candidate_topk_blocks"])
    out.add_uint32(f"{arch}.attention.candidate_block_size", c["candidate_block_size"])
    out.add_uint32(f"{arch}.hyper_connection.count", c["hc_mult"])
    out.add_uint32(f"{arch}.hyper_connection.sinkhorn_iterations", c["hc_sinkhorn_iters"])
    out.add_float32(f"{arch}.hyper_connection.epsilon", c["hc_eps"])
    ids, primes = token_map(c), engram_primes(c)
    out.add_array(f"{arch}.engram.layer_ids", c["engram_layer_ids"])
    out.add_uint32(f"{arch}.engram.head_count", c["engram_n_heads"])
    out.add_uint32(f"{arch}.engram.key_length", c["engram_head_dim"])
    out.add_uint32(f"{arch}.engram.max_ngram_size", c["engram_max_ngram_size"])
    out.add_uint32(f"{arch}.engram.pad_id", int(ids[c["engram_pad_token_id"]]))
    out.add_array(f"{arch}.engram.token_map", ids.tolist())
    for name, values in (("multipliers", engram_multipliers(c, ids.max() + 1)), ("primes", primes),
                         ("offsets", engram_offsets(primes))):
        out.add_key_value(f"{arch}.engram.{name}", values.reshape(-1).tolist(), gguf.GGUFValueType.ARRAY,
                          gguf.GGUFValueType.UINT64)
    for name, value in tensors(c, weights):
        out.add_tensor(name, np.ascontiguousarray(value))
    golden_gguf.finish(out, path, tokens, logits=logits)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or CASES
    for case, (settings, seeds) in CASES.items():
        for seed in seeds if case in wanted else ():
            write(case, {**COMMON, **settings}, seed)


if __name__ == "__main__":
    main()
