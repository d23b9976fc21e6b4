#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/checkpoints/NAME/: tiny random Hugging Face checkpoints, each with what transformers
computes with it in golden.safetensors: "tokens" (the input) and "logits" (tokens, vocabulary), in float32.

Of the quantized ones it also holds the first rows of a matrix, dequantized: "rows.NAME", NAME as in GGUF.

They are what save_pretrained writes, but for the cases that say "released": those have config.json as DeepSeek's own
have it, and shards with an index. Quantized ones are made here, with scales of any size; the reference computes with
the dequantized weights.

The case "types" writes tests/golden/engine/quant/TYPE.bin for the types that only checkpoints have, as golden_quant.py
does for those of GGUF.

Usage: scripts/golden_checkpoints.py [CASE...]    (needs what golden_models.py needs)
"""

import json
import pathlib
import shutil
import struct
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config,
                          DeepseekV3ForCausalLM, DeepseekV32Config, DeepseekV32ForCausalLM, DeepseekV4Config,
                          DeepseekV4ForCausalLM, LlamaConfig,
                          LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
                          Qwen3MoeConfig, Qwen3MoeForCausalLM)

import golden_deepseek4
from golden_deepseek import BIG, LITE, MOE, V3, V32, YARN4, random_model, yarn40
from golden_models import LLAMA3

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "checkpoints"
TYPES = OUT.parent / "quant"
TOKENS = 40
COMMON = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, vocab_size=64, intermediate_size=64,
              max_position_embeddings=512, initializer_range=0.1, tie_word_embeddings=False, rms_norm_eps=1e-6,
              attn_implementation="eager")
TWO = dict(num_key_value_heads=2, num_hidden_layers=1)
SMALL = dict(num_key_value_heads=2, hidden_size=128, intermediate_size=128, num_hidden_layers=1)
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
FEW = dict(n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=16)
ONE = dict(num_hidden_layers=1, first_k_dense_replace=0)
V4 = dict(golden_deepseek4.COMMON, vocab_size=64, num_hash_layers=1)
# Widths of whole FP8 blocks, but for the rows of kv_a (160) and heads that begin within a block.
WIDE = dict(FEW, hidden_size=128, intermediate_size=128, moe_intermediate_size=128, n_routed_experts=4, kv_lora_rank=128,
            qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=32, q_lora_rank=128, num_attention_heads=2,
            num_key_value_heads=2, n_group=2, topk_group=1,
            num_hidden_layers=1, first_k_dense_replace=0)
# As in the released models: a head's plain part is one block.
HEADS = dict(WIDE, qk_nope_head_dim=128, v_head_dim=128, num_attention_heads=1, num_key_value_heads=1, n_group=1,
             n_routed_experts=2)
CASES = {
    "llama_llama3": (LlamaConfig, LlamaForCausalLM, dict(
        TWO, attention_bias=True, rope_parameters={"rope_theta": 500000.0, **LLAMA3}), "f16", 1),
    "llama_tied": (LlamaConfig, LlamaForCausalLM, dict(TWO, tie_word_embeddings=True,
                                                       rope_parameters=PLAIN), "f32", 2),
    "llama_gptq": (LlamaConfig, LlamaForCausalLM, dict(SMALL, rope_parameters=PLAIN), "gptq", 11),
    "llama_gptq_order": (LlamaConfig, LlamaForCausalLM, dict(SMALL, rope_parameters=PLAIN), "gptq_order", 12),
    "qwen2_awq": (Qwen2Config, Qwen2ForCausalLM, dict(SMALL, rope_parameters=PLAIN), "awq", 13),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(TWO, rope_parameters=PLAIN), "bf16", 3),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, dict(TWO, head_dim=32, rope_parameters=YARN4), "f16", 4),
    "qwen3moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM, dict(
        MOE, num_experts=4, num_hidden_layers=1, num_experts_per_tok=2, moe_intermediate_size=16,
        rope_parameters=PLAIN), "f16", 5),
    "v2_lite": (DeepseekV2Config, DeepseekV2ForCausalLM, dict(LITE, **FEW | ONE | dict(n_routed_experts=4)), "f16", 6),
    "v2_big": (DeepseekV2Config, DeepseekV2ForCausalLM, dict(BIG, **FEW | ONE), "f16", 7),
    "v3_released": (DeepseekV3Config, DeepseekV3ForCausalLM, dict(V3, **FEW, rope_parameters=yarn40(1.0)),
                    "f16 released", 8),
    "v3_fp8": (DeepseekV3Config, DeepseekV3ForCausalLM, dict(V3, **HEADS, rope_parameters=yarn40(1.0)),
               "fp8 released", 9),
    "v3_fp4": (DeepseekV3Config, DeepseekV3ForCausalLM, dict(V3, **WIDE, rope_parameters=PLAIN), "fp4", 14),
    "v32": (DeepseekV32Config, DeepseekV32ForCausalLM, dict(V32, **FEW | ONE), "f16", 10),
    "v4": (DeepseekV4Config, DeepseekV4ForCausalLM, dict(
        V4, num_hidden_layers=1, compress_ratios=[4], num_hash_layers=0, n_routed_experts=4,
        index_head_dim=32), "f16", 15),
    "v4_fp4_released": (DeepseekV4Config, DeepseekV4ForCausalLM, dict(
        V4, num_hidden_layers=1, compress_ratios=[128], hidden_size=128, moe_intermediate_size=128, q_lora_rank=128,
        o_lora_rank=64, n_routed_experts=4, head_dim=64), "fp4 released", 16),
}
# Parts of names of what FP8, FP4 and 4-bit checkpoints leave as it is.
PLAIN_NAMES = ("embed", "head.weight", "norm", ".gate.weight", "weights_proj", "compressor", ".ape", "hc_")
# The matrix whose first rows are kept, as the checkpoint and as GGUF names it.
ROWS = {"fp8": ("model.layers.0.self_attn.q_a_proj.weight", "blk.0.attn_q_a.weight"),
        "fp4": ("model.layers.0.mlp.experts.0.gate_proj.weight", "blk.0.ffn_gate_exps.weight"),
        "v4": ("model.layers.0.ffn.experts.0.w1.weight", "blk.0.ffn_gate_exps.weight"),
        "gptq": ("model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight"),
        "gptq_order": ("model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight"),
        "awq": ("model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight")}
E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, -0.0, -.5, -1, -1.5, -2, -3, -4, -6])


def by_blocks(scale: torch.Tensor, shape, block: int = 128) -> torch.Tensor:
    """A scale for each block as one for each element."""
    return scale.repeat_interleave(block, 0)[:shape[0]].repeat_interleave(block, 1)[:, :shape[1]]


def fp8(weight: torch.Tensor, power_of_two: bool, block: int = 128):
    """(codes, scales, dequantized): e4m3 in square blocks."""
    rows, columns = weight.shape
    scale = torch.empty(-(-rows // block), -(-columns // block))
    for i in range(scale.shape[0]):
        for j in range(scale.shape[1]):
            scale[i, j] = weight[i * block:(i + 1) * block, j * block:(j + 1) * block].abs().max() / 448
    if power_of_two:
        scale = torch.exp2(torch.ceil(torch.log2(scale)))
    spread = by_blocks(scale, weight.shape, block)
    codes = (weight / spread).to(torch.float8_e4m3fn)
    return codes, scale, codes.float() * spread


def fp4(weight: torch.Tensor):
    """(bytes, scales, dequantized): e2m1, two in a byte, 32 under one power of two."""
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // 32, 32)
    exponent = torch.ceil(torch.log2(groups.abs().amax(-1, keepdim=True).clamp(min=1e-9) / 6)).clamp(-126, 126)
    codes = ((groups / torch.exp2(exponent))[..., None] - E2M1).abs().argmin(-1)
    value = (E2M1[codes] * torch.exp2(exponent)).reshape(rows, columns)
    codes = codes.reshape(rows, columns)
    packed = (codes[:, 0::2] | codes[:, 1::2] << 4).to(torch.uint8).view(torch.int8)
    scale = (exponent[..., 0] + 127).to(torch.uint8).view(torch.float8_e8m0fnu)
    return packed, scale, value


def int4(weight: torch.Tensor, group_of: torch.Tensor, symmetric: bool):
    """(steps, zeros, scales, dequantized) of (out, in) weights, in column groups: w = scale * (step - zero)."""
    count = int(group_of.max()) + 1
    steps = torch.empty_like(weight, dtype=torch.int64)
    zeros, scales = torch.empty(count, weight.shape[0], dtype=torch.int64), torch.empty(count, weight.shape[0])
    value = torch.empty_like(weight)
    for g in range(count):
        part = weight[:, group_of == g]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        scale = (torch.maximum(-low / 8, high / 7) if symmetric else (high - low) / 15).clamp(min=1e-6).half().float()
        zero = torch.full_like(scale, 8) if symmetric else torch.round(-low / scale).clamp(1, 15)
        step = torch.round(part / scale[:, None] + zero[:, None]).clamp(0, 15)
        steps[:, group_of == g] = step.long()
        zeros[g], scales[g] = zero.long(), scale
        value[:, group_of == g] = scale[:, None] * (step - zero[:, None])
    return steps, zeros, scales, value


def packed_words(steps: torch.Tensor, dim: int, order=range(8)) -> torch.Tensor:
    """Eight steps of a dimension in each int32."""
    steps = steps.movedim(dim, -1).reshape(*steps.movedim(dim, -1).shape[:-1], -1, 8)
    word = sum(steps[..., step] << (4 * place) for place, step in enumerate(order))
    return torch.where(word >= 1 << 31, word - (1 << 32), word).to(torch.int32).movedim(-1, dim).contiguous()


def gptq(stem: str, weight: torch.Tensor, act_order: bool):
    columns = weight.shape[1]
    group_of = torch.arange(columns) // 64
    if act_order:
        group_of = group_of[torch.randperm(columns)]
    steps, zeros, scales, value = int4(weight, group_of, symmetric=not act_order)
    # GPTQ's own library makes halves of them; groups in order stay exact here.
    stored = {stem + ".qweight": packed_words(steps.T, 0), stem + ".qzeros": packed_words(zeros - 1, 1),
              stem + ".scales": scales.half(), stem + ".g_idx": group_of.int()}
    return stored, value.half().float() if act_order else value


def awq(stem: str, weight: torch.Tensor):
    order = (0, 2, 4, 6, 1, 3, 5, 7)  # AWQ interleaves the columns of a word
    steps, zeros, scales, value = int4(weight, torch.arange(weight.shape[1]) // 32, symmetric=False)
    return {stem + ".qweight": packed_words(steps.T, 1, order), stem + ".qzeros": packed_words(zeros, 1, order),
            stem + ".scales": scales.half()}, value


def quantized(name: str, weight: torch.Tensor, how: str):
    """({stored name: tensor}, the values they stand for)."""
    stem = name.removesuffix(".weight")
    plain = weight.ndim < 2 or any(part in name for part in PLAIN_NAMES)
    if not weight.is_floating_point():
        return {name: weight}, weight
    if plain or how in ("f16", "bf16", "f32"):
        if weight.ndim < 2 or how == "f32" or not torch.equal(weight.half().float(), weight):
            return {name: weight}, weight
        stored = weight.to(torch.bfloat16 if how == "bf16" else torch.float16)
        return {name: stored}, stored.float()
    if how == "fp4" and ".experts." in name:
        packed, scale, value = fp4(weight)
        return {name: packed, stem + ".scale": scale}, value
    if how == "fp4":
        codes, scale, value = fp8(weight, power_of_two=True)
        return {name: codes, stem + ".scale": scale.to(torch.float8_e8m0fnu)}, value
    if how == "fp8":
        codes, scale, value = fp8(weight, power_of_two=False)
        return {name: codes, stem + ".weight_scale_inv": scale}, value
    return awq(stem, weight) if how == "awq" else gptq(stem, weight, how == "gptq_order")


def quantization_config(how: str):
    if how in ("fp8", "fp4"):
        return {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic",
                **({"scale_fmt": "ue8m0"} if how == "fp4" else {})}
    if how.startswith("gptq"):
        return {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": how == "gptq_order",
                "sym": how == "gptq", "checkpoint_format": "gptq"}
    if how == "awq":
        return {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
    return None


def as_released(config: dict) -> dict:
    """config.json as it was before transformers 5."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype", "bfloat16")
    return {**config, "num_nextn_predict_layers": 1, "scoring_func": "sigmoid", "topk_method": "noaux_tc"}


def as_v4_released(config: dict, stored: dict):
    """V4's own names, and its configuration before transformers 5."""
    rope = config.pop("rope_parameters")["compress"]
    kinds = config.pop("layer_types")
    rates = {**config.pop("compress_rates"), "sliding_attention": 0}
    config["compress_ratios"] = [rates[kind] for kind in kinds] + [0]
    config["num_hash_layers"] = config.pop("mlp_layer_types").count("hash_moe")
    config["rope_scaling"] = {"type": "yarn", **{name: rope[name] for name in (
        "factor", "original_max_position_embeddings", "beta_fast", "beta_slow")}}
    renames = (("model.embed_tokens", "embed"), ("model.hc_head.hc_", "hc_head_"), ("attn.norm.", "attn.kv_norm."),
               ("model.", ""))
    names = {}
    for name in stored:
        new = name
        for old, to in renames:
            new = new.replace(old, to)
        names[new] = stored[name]
    return config, names


def write(case: str) -> None:
    config_kind, model_kind, settings, how, seed = CASES[case]
    released = how.endswith(" released")
    how = how.removesuffix(" released")
    config = config_kind(**{**COMMON, **settings})
    v4 = model_kind is DeepseekV4ForCausalLM
    model = golden_deepseek4.random_model(config, seed) if v4 else random_model(config, model_kind, seed)
    for name, weight in model.named_parameters():
        if name.endswith("_proj.bias"):
            weight.data.copy_(0.3 * torch.randn_like(weight))
    out = OUT / case
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.manual_seed(1000 + seed)
    # V4: past the window, the indexer's choice, and a block of 128.
    tokens = torch.randint(0, config.vocab_size, ({"v4": 80, "v4_fp4_released": 136}.get(case, TOKENS),))
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary)
        model.save_pretrained(path)
        stored, values = {}, {}
        for name, weight in load_file(path / "model.safetensors").items():
            tensors, values[name] = quantized(name, weight, how)
            stored.update(tensors)
        save_file(values, path / "model.safetensors", {"format": "pt"})
        reference = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            logits = reference(tokens[None], use_cache=False).logits[0]
        settings = json.loads((path / "config.json").read_text())
    if released and v4:
        settings, stored = as_v4_released(settings, stored)
    elif released:
        settings = as_released(settings)
        last = f"model.layers.{config.num_hidden_layers}."  # a layer that drafts
        stored[last + "eh_proj.weight"] = torch.zeros(4, 4, dtype=torch.bfloat16)
        stored[last + "enorm.weight"] = torch.zeros(4, dtype=torch.bfloat16)
    if quantization_config(how):
        settings["quantization_config"] = quantization_config(how)
    (out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    if released:
        names = sorted(stored)
        parts = [names[0::2], names[1::2]]
        files = [f"model-{i + 1:05}-of-00002.safetensors" for i in range(2)]
        for file, part in zip(files, parts):
            save_file({name: stored[name].contiguous() for name in part}, out / file, {"format": "pt"})
        weight_map = {name: file for file, part in zip(files, parts) for name in part}
        index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
    else:
        save_file({name: value.contiguous() for name, value in stored.items()}, out / "model.safetensors",
                  {"format": "pt"})
    golden = {"tokens": tokens.int(), "logits": logits}
    if how in ROWS:
        name, gguf_name = ROWS["v4" if v4 else how]
        golden["rows." + gguf_name] = values[name][:32].contiguous()
    save_file(golden, out / "golden.safetensors")
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{case}: {size} bytes, logits in {logits.min():.2f} .. {logits.max():.2f}")


def write_types() -> None:
    torch.manual_seed(99)
    scales = torch.tensor([1.0, 0.0, -0.0, 3e-39, 1.5e38, float("inf"), float("nan"), 0.0078125, -2.5e-3, 1 / 3])
    codes = torch.arange(256).to(torch.uint8).reshape(2, 128).repeat(len(scales), 1)
    each = scales.repeat_interleave(2)
    values = each[:, None] * codes.view(torch.float8_e4m3fn).float()
    blocks = b"".join(struct.pack("<f", s) + bytes(c.tolist()) for s, c in zip(each.tolist(), codes))
    write_type("F8_E4M3", blocks, values)
    scales = torch.cat([scales.half(), (torch.randn(20) / 50).half()])
    zeros = torch.arange(len(scales)) % 17
    steps = torch.randint(0, 16, (len(scales), 32))
    values = scales.float()[:, None] * (steps - zeros[:, None]).float()
    blocks = b"".join(struct.pack("<e", s) + bytes([int(z)]) + bytes((q[:16] | q[16:] << 4).tolist())
                      for s, z, q in zip(scales.tolist(), zeros, steps))
    write_type("I4_ZERO", blocks, values)


def write_type(name: str, blocks: bytes, values: torch.Tensor) -> None:
    floats = values.flatten().numpy().astype("<f4")
    (TYPES / f"{name}.bin").write_bytes(struct.pack("<II", len(blocks), floats.size) + blocks + floats.tobytes())
    print(f"{name}.bin: {floats.size} values")


def main() -> None:
    for case in sys.argv[1:] or [*CASES, "types"]:
        write_types() if case == "types" else write(case)


if __name__ == "__main__":
    main()
