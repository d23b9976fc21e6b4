#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of DeepSeek V4 beside those of golden_models.py, in the same form.

Every feature is on: layers with the window alone, with selected entries and with whole ones; layers that choose
experts by the token; clamped experts; sinks; streams whose mixing is random. 320 tokens: past the window (16), past
the indexer's choice (8 of 80 entries), and two blocks of 128.

Usage: scripts/golden_deepseek4.py [CASE...]    (needs what golden_models.py needs)
"""

import sys

import gguf
import numpy as np
import torch
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

import golden_gguf
from golden_models import OUT

TOKENS = 320
RATIO = {"sliding_attention": 0, "compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
COMMON = dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=1, vocab_size=128, head_dim=32,
              qk_rope_head_dim=16, q_lora_rank=32, o_groups=2, o_lora_rank=32, n_routed_experts=8, num_experts_per_tok=2,
              n_shared_experts=1, moe_intermediate_size=16, swiglu_limit=0.7, sliding_window=16, hc_mult=4,
              hc_sinkhorn_iters=20, max_position_embeddings=4096, rms_norm_eps=1e-6, initializer_range=0.1,
              routed_scaling_factor=1.5,
              # Many index heads: a ReLU makes single scores exactly 0, and ties would make the choice arbitrary.
              index_n_heads=16, index_head_dim=64, index_topk=8, attn_implementation="eager",
              rope_parameters={"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 64,
                               "beta_fast": 32, "beta_slow": 1})
CASES = {
    "v4": (dict(num_hidden_layers=4, compress_ratios=[0, 4, 128, 4], num_hash_layers=2), (91, 92, 93)),
    "v4_pro": (dict(num_hidden_layers=3, compress_ratios=[128, 4, 128], num_hash_layers=1, routed_scaling_factor=2.5),
               (94, 95, 96)),
}
NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_a_proj": "attn_q_a",
         "self_attn.q_a_norm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_proj": "attn_kv",
         "self_attn.kv_norm": "attn_kv_a_norm", "self_attn.o_b_proj": "attn_output_b",
         "self_attn.compressor.kv_proj": "attn_compressor_kv", "self_attn.compressor.gate_proj": "attn_compressor_gate",
         "self_attn.compressor.kv_norm": "attn_compressor_norm",
         "self_attn.compressor.indexer.kv_proj": "indexer_compressor_kv",
         "self_attn.compressor.indexer.gate_proj": "indexer_compressor_gate",
         "self_attn.compressor.indexer.kv_norm": "indexer_compressor_norm",
         "self_attn.compressor.indexer.q_b_proj": "indexer.attn_q_b",
         "self_attn.compressor.indexer.scorer.weights_proj": "indexer.proj",
         "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
         "mlp.shared_experts.down_proj": "ffn_down_shexp", "mlp.gate": "ffn_gate_inp"}
# Without ".weight" in transformers.
BARE = {"self_attn.sinks": "attn_sinks", "self_attn.compressor.position_bias": "attn_compressor_ape",
        "self_attn.compressor.indexer.position_bias": "indexer_compressor_ape", "attn_hc.fn": "hc_attn_fn",
        "attn_hc.base": "hc_attn_base", "attn_hc.scale": "hc_attn_scale", "ffn_hc.fn": "hc_ffn_fn",
        "ffn_hc.base": "hc_ffn_base", "ffn_hc.scale": "hc_ffn_scale"}
FIXED = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight", "model.hc_head.hc_fn": "output_hc_fn.weight",
         "model.hc_head.hc_base": "output_hc_base.weight", "model.hc_head.hc_scale": "output_hc_scale.weight"}
F32 = ("_base", "_scale", "_norm", "sinks", "_ape", "ffn_gate_inp", "indexer.proj", "exp_probs_b")


def random_model(config, seed: int):
    torch.manual_seed(seed)
    model = DeepseekV4ForCausalLM(config).eval().float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name and weight.ndim == 1:
                weight.copy_(1 + 0.4 * (torch.rand_like(weight) - 0.5))
            elif name.endswith(("sinks", "position_bias", "base", "hc_base")):
                weight.copy_(0.5 * torch.randn_like(weight))
            elif name.endswith(("scale", "hc_scale")):
                weight.copy_(0.5 + torch.rand_like(weight))
            elif name.endswith((".fn", "hc_fn")):
                weight.copy_((0.2 * torch.randn_like(weight)).half().float())
            elif name.endswith("mlp.gate.weight"):
                weight.copy_(0.3 * torch.randn_like(weight))
            elif "compressor" in name:
                weight.copy_((0.3 * torch.randn_like(weight)).half().float())
            else:
                weight.copy_(weight.half().float())
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.1 * torch.randn_like(buffer))
            elif name.endswith("tid2eid"):
                rows = [torch.randperm(config.n_routed_experts)[: buffer.shape[1]] for _ in range(buffer.shape[0])]
                buffer.copy_(torch.stack(rows))
    return model


def tensors(config, model):
    """(name, array) of every tensor in the GGUF."""
    for name, tensor in model.state_dict().items():
        value = tensor.numpy()
        if name in FIXED:
            yield FIXED[name], value
            continue
        _, _, layer, rest = name.split(".", 3)
        block = f"blk.{layer}."
        if rest in BARE:
            yield f"{block}{BARE[rest]}.weight", value
        elif rest == "mlp.gate.tid2eid":
            yield block + "ffn_gate_tid2eid.weight", value.astype(np.int32)
        elif rest == "mlp.gate.e_score_correction_bias":
            yield block + "exp_probs_b.bias", value
        elif rest == "self_attn.o_a_proj.weight":
            yield block + "attn_output_a.weight", value.reshape(config.o_groups, config.o_lora_rank, -1)
        elif rest == "mlp.experts.gate_up_proj":  # (experts, 2*ffn, width)
            half = value.shape[1] // 2
            yield block + "ffn_gate_exps.weight", value[:, :half]
            yield block + "ffn_up_exps.weight", value[:, half:]
        elif rest == "mlp.experts.down_proj":
            yield block + "ffn_down_exps.weight", value
        else:
            stem, kind = rest.rsplit(".", 1)
            yield f"{block}{NAMES[stem]}.{kind}", value


def write(case: str, config, model, seed: int) -> None:
    path = OUT / f"{case}_{seed}.gguf"
    torch.manual_seed(1000 + seed)
    tokens = torch.randint(0, config.vocab_size, (TOKENS,))
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0].numpy()
    out = gguf.GGUFWriter(path, "deepseek4")
    out.add_name(case)
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.moe_intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(1)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_q_lora_rank(config.q_lora_rank)
    out.add_sliding_window(config.sliding_window)
    out.add_rope_dimension_count(config.qk_rope_head_dim)
    out.add_rope_freq_base(config.rope_theta)
    rope = config.rope_parameters["compress"]
    out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    out.add_rope_scaling_factor(rope["factor"])
    out.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    out.add_float32("deepseek4.rope.scaling.yarn_beta_fast", rope["beta_fast"])
    out.add_float32("deepseek4.rope.scaling.yarn_beta_slow", rope["beta_slow"])
    out.add_expert_count(config.n_routed_experts)
    out.add_expert_used_count(config.num_experts_per_tok)
    out.add_expert_shared_count(config.n_shared_experts)
    out.add_expert_feed_forward_length(config.moe_intermediate_size)
    out.add_expert_weights_scale(config.routed_scaling_factor)
    out.add_expert_weights_norm(True)
    out.add_uint32("deepseek4.expert_gating_func", 4)
    layers = config.num_hidden_layers
    out.add_array("deepseek4.swiglu_clamp_exp", [config.swiglu_limit] * layers)
    out.add_array("deepseek4.swiglu_clamp_shexp", [config.swiglu_limit] * layers)
    out.add_uint32("deepseek4.attention.indexer.head_count", config.index_n_heads)
    out.add_uint32("deepseek4.attention.indexer.key_length", config.index_head_dim)
    out.add_uint32("deepseek4.attention.indexer.top_k", config.index_topk)
    out.add_uint32("deepseek4.attention.output_group_count", config.o_groups)
    out.add_uint32("deepseek4.attention.output_lora_rank", config.o_lora_rank)
    out.add_array("deepseek4.attention.compress_ratios", [RATIO[kind] for kind in config.layer_types])
    out.add_float32("deepseek4.attention.compress_rope_freq_base", config.compress_rope_theta)
    out.add_uint32("deepseek4.hyper_connection.count", config.hc_mult)
    out.add_uint32("deepseek4.hyper_connection.sinkhorn_iterations", config.hc_sinkhorn_iters)
    out.add_float32("deepseek4.hyper_connection.epsilon", config.hc_eps)
    out.add_uint32("deepseek4.hash_layer_count", config.mlp_layer_types.count("hash_moe"))
    for name, value in tensors(config, model):
        if value.dtype != np.int32:
            value = value.astype(np.float32 if any(part in name for part in F32) else np.float16)
        out.add_tensor(name, np.ascontiguousarray(value))
    golden_gguf.finish(out, path, tokens, logits=logits)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or CASES
    for case, (settings, seeds) in CASES.items():
        for seed in seeds if case in wanted else ():
            config = DeepseekV4Config(**{**COMMON, **settings})
            write(case, config, random_model(config, seed), seed)


if __name__ == "__main__":
    main()
