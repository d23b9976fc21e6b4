#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of Qwen3, Qwen3-MoE and DeepSeek V2, V3, V3.2 beside those of golden_models.py, in the same form.

Every feature is on: heads whose size is not width/heads, low-rank queries, groups of experts, router biases, shared
experts, YaRN. Norms and biases are random, so that leaving one out shows.

Usage: scripts/golden_deepseek.py [CASE...]    (needs what golden_models.py needs)
"""

import sys

import gguf
import numpy as np
import torch
from transformers import (DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config, DeepseekV3ForCausalLM,
                          DeepseekV32Config, DeepseekV32ForCausalLM, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig,
                          Qwen3MoeForCausalLM)

import golden_gguf
from golden_models import OUT, TOKENS

COMMON = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, vocab_size=128, intermediate_size=96,
              max_position_embeddings=512, initializer_range=0.1, tie_word_embeddings=False, rms_norm_eps=1e-6,
              attn_implementation="eager")
YARN4 = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}


def yarn40(mscale):
    return {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0, "original_max_position_embeddings": 64,
            "beta_fast": 32, "beta_slow": 1, "mscale": mscale, "mscale_all_dim": mscale}


PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
MLA = dict(num_key_value_heads=4, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=24,
           n_routed_experts=16, num_experts_per_tok=4, moe_intermediate_size=32, first_k_dense_replace=1)
LITE = dict(MLA, q_lora_rank=None, n_shared_experts=2, routed_scaling_factor=1.0, topk_method="greedy", n_group=1,
            topk_group=1, rope_parameters=yarn40(0.707))
BIG = dict(MLA, q_lora_rank=48, n_shared_experts=2, routed_scaling_factor=16.0, topk_method="group_limited_greedy",
           n_group=4, topk_group=2, rope_parameters=yarn40(0.707))
V3 = dict(MLA, q_lora_rank=48, n_shared_experts=1, routed_scaling_factor=2.5, n_group=4, topk_group=2,
          norm_topk_prob=True)
# Many index heads: a ReLU makes single scores exactly 0, and ties would make the choice arbitrary.
V32 = dict(V3, rope_parameters=yarn40(1.0), index_n_heads=16, index_head_dim=32, index_topk=16)
MOE = dict(num_key_value_heads=2, head_dim=32, num_experts=16, num_experts_per_tok=4, moe_intermediate_size=32,
           norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[])
CASES = {
    "qwen3": ("qwen3", Qwen3Config, Qwen3ForCausalLM, dict(num_key_value_heads=2, head_dim=32, rope_parameters=YARN4),
              (21, 22, 23)),
    "qwen3moe": ("qwen3moe", Qwen3MoeConfig, Qwen3MoeForCausalLM, dict(MOE, rope_parameters=PLAIN), (31, 32, 33)),
    "v2_lite": ("deepseek2", DeepseekV2Config, DeepseekV2ForCausalLM, LITE, (41, 42, 43)),
    "v2_lite_legacy": ("deepseek2", DeepseekV2Config, DeepseekV2ForCausalLM, LITE, (44,)),
    "v2_big": ("deepseek2", DeepseekV2Config, DeepseekV2ForCausalLM, BIG, (51, 52, 53)),
    "v3": ("deepseek2", DeepseekV3Config, DeepseekV3ForCausalLM, dict(V3, rope_parameters=yarn40(1.0)), (61, 62, 63)),
    "v32": ("deepseek32", DeepseekV32Config, DeepseekV32ForCausalLM, V32, (71, 72, 73)),
    # As wide as llama.cpp wants index heads: what bench/greedy_vs_llama.py compares.
    "v32_wide": ("deepseek32", DeepseekV32Config, DeepseekV32ForCausalLM, dict(V32, index_head_dim=64), (74,)),
    "v3_noyarn": ("deepseek2", DeepseekV3Config, DeepseekV3ForCausalLM, dict(V3, rope_parameters=PLAIN), (64,)),
}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b",
         "self_attn.indexer.wq_b": "indexer.attn_q_b", "self_attn.indexer.wk": "indexer.attn_k",
         "self_attn.indexer.weights_proj": "indexer.proj", "self_attn.indexer.k_norm": "indexer.k_norm",
         "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
         "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
         "mlp.shared_experts.down_proj": "ffn_down_shexp", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}


def random_model(config, kind, seed: int):
    torch.manual_seed(seed)
    model = kind(config).eval().float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("k_norm.bias"):
                weight.copy_(0.2 * torch.randn_like(weight))
            elif "norm" in name:
                weight.copy_(1 + 0.4 * (torch.rand_like(weight) - 0.5))
            elif "mlp.gate.weight" in name or name.endswith("gate.weight"):
                weight.copy_(0.3 * torch.randn_like(weight))  # F32 in files
            else:
                if weight.abs().max() == 0 or not torch.isfinite(weight).all():
                    weight.copy_(0.1 * torch.randn_like(weight))
                weight.copy_(weight.half().float())
        for name, buffer in model.named_buffers():
            if "e_score_correction_bias" in name:
                buffer.copy_(0.1 * torch.randn_like(buffer))
    return model


def tensors(case: str, config, model):
    """(name, array, is a matrix) of every tensor in the GGUF."""
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    for name, tensor in model.state_dict().items():
        value = tensor.numpy()
        if name in fixed:
            yield fixed[name], value
            continue
        _, _, layer, rest = name.split(".", 3)
        block = f"blk.{layer}."
        if rest == "mlp.gate.weight":
            yield block + "ffn_gate_inp.weight", value.astype(np.float32)
        elif rest == "mlp.gate.e_score_correction_bias":
            yield block + "exp_probs_b.bias", value.astype(np.float32)
        elif rest.endswith("experts.gate_up_proj"):  # (experts, 2*ffn, width)
            half = value.shape[1] // 2
            yield block + "ffn_gate_exps.weight", value[:, :half]
            yield block + "ffn_up_exps.weight", value[:, half:]
        elif rest.endswith("experts.down_proj"):
            yield block + "ffn_down_exps.weight", value
        elif rest == "self_attn.kv_b_proj.weight":
            if "legacy" in case:
                yield block + "attn_kv_b.weight", value
                continue
            nope, width = config.qk_nope_head_dim, config.v_head_dim
            heads = value.reshape(config.num_attention_heads, nope + width, -1)
            yield block + "attn_k_b.weight", heads[:, :nope].transpose(0, 2, 1)
            yield block + "attn_v_b.weight", heads[:, nope:]
        else:
            stem, kind = rest.rsplit(".", 1)
            yield f"{block}{NAMES[stem]}.{kind}", value


def write(case: str, arch: str, config, model, seed: int) -> None:
    path = OUT / f"{case}_{seed}.gguf"
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
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(10000.0)
    rope = config.rope_parameters
    if rope["rope_type"] == "yarn":
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(rope["factor"])
        out.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if arch == "deepseek32":
        out.add_uint32("deepseek32.attention.indexer.head_count", config.index_n_heads)
        out.add_uint32("deepseek32.attention.indexer.key_length", config.index_head_dim)
        out.add_uint32("deepseek32.attention.indexer.top_k", config.index_topk)
    if arch.startswith("deepseek"):
        legacy = "legacy" in case
        out.add_head_count_kv(config.num_attention_heads if legacy else 1)
        out.add_kv_lora_rank(config.kv_lora_rank)
        if config.q_lora_rank:
            out.add_q_lora_rank(config.q_lora_rank)
        query = config.qk_nope_head_dim + config.qk_rope_head_dim
        if legacy:
            out.add_key_length(query)
            out.add_value_length(config.v_head_dim)
        else:
            out.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
            out.add_value_length(config.kv_lora_rank)
            out.add_key_length_mla(query)
            out.add_value_length_mla(config.v_head_dim)
        out.add_rope_dimension_count(config.qk_rope_head_dim)
        if rope["rope_type"] == "yarn":
            out.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
        out.add_leading_dense_block_count(config.first_k_dense_replace)
        out.add_expert_shared_count(config.n_shared_experts)
        out.add_expert_weights_scale(config.routed_scaling_factor)
        v3 = case.startswith("v3")
        out.add_expert_weights_norm(v3)
        out.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if v3 else gguf.ExpertGatingFuncType.SOFTMAX)
        if config.n_group > 1:
            out.add_expert_group_count(config.n_group)
            out.add_expert_group_used_count(config.topk_group)
    else:
        out.add_head_count_kv(config.num_key_value_heads)
        out.add_key_length(config.head_dim)
        out.add_value_length(config.head_dim)
    if arch != "qwen3":
        out.add_expert_count(getattr(config, "n_routed_experts", None) or config.num_experts)
        out.add_expert_used_count(config.num_experts_per_tok)
        out.add_expert_feed_forward_length(config.moe_intermediate_size)
    for name, value in tensors(case, config, model):
        keep = value.ndim == 1 or "ffn_gate_inp" in name or "indexer.proj" in name
        out.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32 if keep else np.float16))
    golden_gguf.finish(out, path, tokens, logits=logits)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or CASES
    for case, (arch, config_kind, model_kind, settings, seeds) in CASES.items():
        for seed in seeds if case in wanted else ():
            config = config_kind(**{**COMMON, **settings})
            write(case, arch, config, random_model(config, model_kind, seed), seed)


if __name__ == "__main__":
    main()
