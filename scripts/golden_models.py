#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/models/NAME.gguf: tiny random models, each with what transformers computes with it.

Weights are rounded to F16 first and stored so; the reference runs in float32 on the rounded weights. The file also
holds "golden.tokens" (metadata: the input) and the tensor "golden.logits" (tokens, vocabulary).

Usage: scripts/golden_models.py    (needs torch, transformers, gguf and numpy, which no other script does:
       python3 -m venv elsewhere; elsewhere/bin/pip install torch transformers gguf numpy)
"""

import pathlib

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

import golden_gguf

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "models"
SIZES = dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, vocab_size=128,
             intermediate_size=96, max_position_embeddings=512, initializer_range=0.1)
TOKENS = 96
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
CASES = {
    "llama_plain": (LlamaConfig, LlamaForCausalLM, {"rope_type": "default"}, False, (1, 2, 3)),
    "llama_tied": (LlamaConfig, LlamaForCausalLM, {"rope_type": "default"}, True, (4,)),
    "llama_llama3": (LlamaConfig, LlamaForCausalLM, LLAMA3, False, (5, 6, 7)),
    "llama_linear": (LlamaConfig, LlamaForCausalLM, {"rope_type": "linear", "factor": 4.0}, False, (8, 9, 10)),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"rope_type": "default"}, False, (11, 12, 13)),
    "qwen2_tied": (Qwen2Config, Qwen2ForCausalLM, {"rope_type": "default"}, True, (14,)),
}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def gguf_name(name: str) -> str:
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name in fixed:
        return fixed[name]
    _, _, layer, *middle, kind = name.split(".")
    return f"blk.{layer}.{NAMES['.'.join(middle)]}.{kind}"


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k from rope over halves to rope over neighbours: within a head, row j*h/2+i becomes 2i+j."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(rows.shape)


def llama3_divisors(config, rope: dict) -> np.ndarray:
    """Plain frequency over scaled frequency for each pair, as converters write it into rope_freqs.weight."""
    dim = config.hidden_size // config.num_attention_heads
    plain = 10000.0 ** (-np.arange(0, dim, 2) / dim)
    wave = 2 * np.pi / plain
    original = rope["original_max_position_embeddings"]
    low, high = original / rope["low_freq_factor"], original / rope["high_freq_factor"]
    smooth = (original / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
    divisor = np.where(wave < high, 1.0, np.where(wave > low, rope["factor"],
                                                  1 / ((1 - smooth) / rope["factor"] + smooth)))
    return divisor.astype(np.float32)


def random_model(config, kind, seed: int):
    torch.manual_seed(seed)
    model = kind(config).eval().float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.copy_(1 + 0.4 * (torch.rand_like(weight) - 0.5))
            elif name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
            else:
                weight.copy_(weight.half().float())
    return model


def write(case: str, config, model, rope: dict, tied: bool, seed: int) -> None:
    path = OUT / f"{case}_{seed}.gguf"
    arch = "qwen2" if case.startswith("qwen2") else "llama"
    torch.manual_seed(1000 + seed)
    tokens = torch.randint(0, config.vocab_size, (TOKENS,))
    with torch.no_grad():
        logits = model(tokens[None]).logits[0].numpy()
    out = gguf.GGUFWriter(path, arch)
    out.add_name(case)
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(10000.0)
    if rope["rope_type"] == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(rope["factor"])
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        values = tensor.numpy()
        if arch == "llama" and ".q_proj." in name:
            values = permuted(values, config.num_attention_heads)
        if arch == "llama" and ".k_proj." in name:
            values = permuted(values, config.num_key_value_heads)
        matrix = values.ndim == 2
        out.add_tensor(gguf_name(name), np.ascontiguousarray(values, dtype=np.float16 if matrix else np.float32))
    if rope["rope_type"] == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_divisors(config, rope))
    golden_gguf.finish(out, path, tokens, logits=logits)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for case, (config_kind, model_kind, rope, tied, seeds) in CASES.items():
        for seed in seeds:
            config = config_kind(**SIZES, tie_word_embeddings=tied, rms_norm_eps=1e-5, attn_implementation="eager",
                                 rope_parameters={"rope_theta": 10000.0, **rope})
            model = random_model(config, model_kind, seed)
            write(case, config, model, rope, tied, seed)


if __name__ == "__main__":
    main()
