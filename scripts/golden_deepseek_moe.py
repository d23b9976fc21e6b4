#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of DeepSeek-MoE-16B's architecture, which transformers has no class for: an independent
reference in numpy, in double precision, written from the paper (2401.06066, sec. 3) and the model's config.json. As GGUF,
where rope turns neighbours, and as a checkpoint with the released names, where it turns halves.

Usage: scripts/golden_deepseek_moe.py    (needs gguf, numpy and safetensors)
"""

import json
import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

import golden_gguf

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "models"
CHECKPOINT = OUT.parent / "checkpoints" / "deepseek_moe"
TOKENS, VOCAB, WIDTH, LAYERS, HEADS, HEAD, FFN = 96, 128, 64, 2, 4, 16, 96
EXPERTS, USED, EXPERT_FFN, SHARED = 16, 4, 32, 2


def rms(x, weight):
    return weight * x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def mlp(x, gate, up, down):
    h = x @ gate.T
    return (h / (1 + np.exp(-h)) * (x @ up.T)) @ down.T


def rotated(x, halves):  # (tokens, heads, HEAD): each element with its neighbour, or with that half a head on
    if halves:
        pairs = np.stack([x[..., :HEAD // 2], x[..., HEAD // 2:]], -1).reshape(x.shape)
        turned = rotated(pairs, False)
        return np.concatenate([turned[..., 0::2], turned[..., 1::2]], -1)
    angle = np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(0, HEAD, 2) / HEAD)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return np.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def attention(x, w, block, halves):
    q, k, v = (np.reshape(x @ w[block + f"attn_{n}.weight"].T, (-1, HEADS, HEAD)) for n in "qkv")
    scores = np.einsum("thd,shd->hts", rotated(q, halves), rotated(k, halves)) / np.sqrt(HEAD)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return np.einsum("hts,shd->thd", p, v).reshape(len(x), -1) @ w[block + "attn_output.weight"].T


def experts(x, w, block):
    logits = x @ w[block + "ffn_gate_inp.weight"].T
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    y = mlp(x, *(w[block + f"ffn_{n}_shexp.weight"] for n in ("gate", "up", "down")))
    for t in range(len(x)):
        for e in np.argsort(-p[t], kind="stable")[:USED]:
            y[t] += p[t, e] * mlp(x[t], *(w[block + f"ffn_{n}_exps.weight"][e] for n in ("gate", "up", "down")))
    return y


def forward(w, tokens, halves=False):
    x = w["token_embd.weight"][tokens]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        x = x + attention(rms(x, w[block + "attn_norm.weight"]), w, block, halves)
        h = rms(x, w[block + "ffn_norm.weight"])
        dense = (w[block + f"ffn_{n}.weight"] for n in ("gate", "up", "down"))
        x = x + (mlp(h, *dense) if layer == 0 else experts(h, w, block))
    return rms(x, w["output_norm.weight"]) @ w["output.weight"].T


def random_weights(seed):
    rng = np.random.default_rng(seed)
    shapes = {"token_embd.weight": (VOCAB, WIDTH), "output.weight": (VOCAB, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        shapes |= {block + n + ".weight": (WIDTH,) for n in ("attn_norm", "ffn_norm")}
        shapes |= {block + f"attn_{n}.weight": (WIDTH, WIDTH) for n in ("q", "k", "v", "output")}
        if layer == 0:
            shapes |= {block + "ffn_gate.weight": (FFN, WIDTH), block + "ffn_up.weight": (FFN, WIDTH),
                       block + "ffn_down.weight": (WIDTH, FFN)}
            continue
        shapes[block + "ffn_gate_inp.weight"] = (EXPERTS, WIDTH)
        for n, shape in (("gate", (EXPERT_FFN, WIDTH)), ("up", (EXPERT_FFN, WIDTH)), ("down", (WIDTH, EXPERT_FFN))):
            shapes[block + f"ffn_{n}_exps.weight"] = (EXPERTS, *shape)
            wide = tuple(SHARED * d if d == EXPERT_FFN else d for d in shape)
            shapes[block + f"ffn_{n}_shexp.weight"] = wide
    weights = {}
    for name, shape in shapes.items():
        value = 1 + 0.4 * (rng.random(shape) - 0.5) if len(shape) == 1 else 0.1 * rng.standard_normal(shape)
        if "gate_inp" in name:
            value *= 3
        weights[name] = value.astype(np.float32 if keep_f32(name, shape) else np.float16).astype(np.float64)
    return weights


def keep_f32(name, shape):
    return len(shape) == 1 or "gate_inp" in name


def write_checkpoint(seed):
    weights = random_weights(seed)
    tokens = np.random.default_rng(1000 + seed).integers(0, VOCAB, TOKENS)
    names = {"token_embd.": "model.embed_tokens.", "output.": "lm_head.", "output_norm.": "model.norm."}
    parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_output": "self_attn.o_proj",
             "ffn_gate_inp": "mlp.gate", **{f"attn_{n}": f"self_attn.{n}_proj" for n in "qkv"},
             **{f"ffn_{n}": f"mlp.{n}_proj" for n in ("gate", "up", "down")},
             **{f"ffn_{n}_shexp": f"mlp.shared_experts.{n}_proj" for n in ("gate", "up", "down")}}
    stored = {}
    for name, value in weights.items():
        value = value.astype(np.float32 if keep_f32(name, value.shape) else np.float16)
        if not name.startswith("blk."):
            stored[next(to + name.removeprefix(old) for old, to in names.items() if name.startswith(old))] = value
            continue
        _, layer, part, _ = name.split(".")
        if part.endswith("_exps"):
            for e in range(EXPERTS):
                stored[f"model.layers.{layer}.mlp.experts.{e}.{part.split('_')[1]}_proj.weight"] = value[e]
        else:
            stored[f"model.layers.{layer}.{parts[part]}.weight"] = value
    config = {"architectures": ["DeepseekForCausalLM"], "model_type": "deepseek", "hidden_size": WIDTH,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
              "intermediate_size": FFN, "moe_intermediate_size": EXPERT_FFN, "n_routed_experts": EXPERTS,
              "num_experts_per_tok": USED, "n_shared_experts": SHARED, "first_k_dense_replace": 1, "moe_layer_freq": 1,
              "norm_topk_prob": False, "scoring_func": "softmax", "rope_theta": 10000, "rope_scaling": None,
              "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "vocab_size": VOCAB, "hidden_act": "silu",
              "attention_bias": False, "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1}
    CHECKPOINT.mkdir(parents=True, exist_ok=True)
    (CHECKPOINT / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: np.ascontiguousarray(value) for name, value in stored.items()}, CHECKPOINT / "model.safetensors",
              {"format": "pt"})
    logits = forward(weights, tokens, halves=True).astype(np.float32)
    save_file({"tokens": tokens.astype(np.int32), "logits": logits}, CHECKPOINT / "golden.safetensors")
    print(f"{CHECKPOINT.name}: logits in {logits.min():.2f} .. {logits.max():.2f}")


def main():
    write_checkpoint(84)
    OUT.mkdir(parents=True, exist_ok=True)
    for seed in (81, 82, 83):
        weights = random_weights(seed)
        tokens = np.random.default_rng(1000 + seed).integers(0, VOCAB, TOKENS)
        logits = forward(weights, tokens).astype(np.float32)
        path = OUT / f"deepseek_{seed}.gguf"
        out = gguf.GGUFWriter(path, "deepseek")
        out.add_name("deepseek")
        out.add_block_count(LAYERS)
        out.add_context_length(512)
        out.add_embedding_length(WIDTH)
        out.add_feed_forward_length(FFN)
        out.add_head_count(HEADS)
        out.add_head_count_kv(HEADS)
        out.add_layer_norm_rms_eps(1e-6)
        out.add_rope_freq_base(10000.0)
        out.add_leading_dense_block_count(1)
        out.add_expert_count(EXPERTS)
        out.add_expert_used_count(USED)
        out.add_expert_shared_count(SHARED)
        out.add_expert_feed_forward_length(EXPERT_FFN)
        out.add_expert_weights_scale(1.0)
        for name, value in weights.items():
            kind = np.float32 if keep_f32(name, value.shape) else np.float16
            out.add_tensor(name, np.ascontiguousarray(value, dtype=kind))
        golden_gguf.finish(out, path, tokens, logits=logits)


if __name__ == "__main__":
    main()
