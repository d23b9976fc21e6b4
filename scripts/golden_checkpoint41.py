#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/checkpoint41/: a tiny random checkpoint of DeepSeek V4.1 as released, in names, types and
config.json, with a tokenizer.json: the ids that Engram's hashes see follow from what its tokens say. With it
golden.safetensors as golden_checkpoints.py writes it, and in it "token_map", made by Hugging Face's normalizers.

Usage: scripts/golden_checkpoint41.py    (needs what golden_models.py needs, and tokenizers)
"""

import json
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from deepseek41_reference import COMMON, Reference, computed, random_weights
from golden_checkpoints import OUT as CHECKPOINTS
from golden_checkpoints import fp4, fp8
from golden_tokenizer import PATTERNS, byte_letter

OUT = CHECKPOINTS.parent / "checkpoint41"
SEED, TOKENS = 107, 128
SPECIAL = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
USER_DEFINED = ["<think>", "</think>", "<THINK>"]
# What reads alike but for case, accents, form or blanks; what only seems to; and what is nothing once normalized.
WORDS = ["the", " the", " The", " THE ", "café", "cafe", "CAFÉ", "cafe\u0301", "naïve", "Naive", "ﬁne", "fine", "Ｆine",
         "\u0301", "\u0301\u0327", "İ", "i", "ı", "I", "ß", "ss", "SS", "ẞ", "Σ", "σ", "ς", "ας", "ΑΣ", "²", "2", "①",
         "1⁄2", "½", "가", "각", "가\u11a8", "中", "文", "Ǆ", "ǆ", "dž", "\u212a", "k", "𝒜", "a", "å", "\u212b", "ø",
         "o", "क\u093c", "\u0958", "का", "क", "\u200d", "\u00ad", "  ", "\t", "\n", "\r\n", "\n\n ", "\u3000", "\u00a0",
         "\u2028", "\u0085", "\x0b", "\x0c ", "a\tb", "a  b", "a\u3000b", "a b", "\u1e9b\u0323", "ﬅ", "ſt", "st", "Ω",
         "ω", "\u2126", "й", "и", "Й", "א\u05b7", "א", "\ufb2e", "か\u3099", "が", "か", "ｶ\uff9e", "ガ", "Ⅷ", "viii"]
SETTINGS = dict(num_hidden_layers=4, compress_ratios=[0, 2, 1, 1, 0, 0, 0], kv_source_layer_ids=[1, 2],
                index_source_layer_ids=[1, 2, 3], candidate_source_layer_id=2, engram_layer_ids=[1, 3],
                q_lora_rank=64, o_lora_rank=32, moe_intermediate_size=32, engram_max_ngram_size=3, engram_head_dim=64)
FP8 = ("wq_a", "wq_b", "attn.wkv", "wo_a", "wo_b", "shared_experts", "engram.wkv")
FLOAT32 = ("hc_", "sink", "gate.bias", "compressor.wgate")


def tokenizer() -> Tokenizer:
    """Every byte, and of each word each beginning in UTF-8: parts of characters too."""
    vocab, merges = {token: i for i, token in enumerate(SPECIAL)}, []
    for byte in range(256):
        vocab[byte_letter(byte)] = len(vocab)
    for word in WORDS:
        letters = [byte_letter(byte) for byte in word.encode()]
        for end in range(2, len(letters) + 1):
            piece = "".join(letters[:end])
            if piece not in vocab:
                vocab[piece] = len(vocab)
                merges.append((piece[:-1], letters[end - 1]))
    out = Tokenizer(models.BPE(vocab, merges))
    out.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(p), "isolated") for p in PATTERNS["deepseek-v3"]]
        + [pre_tokenizers.ByteLevel(False, use_regex=False)])
    out.decoder = decoders.ByteLevel()
    out.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    out.add_tokens([AddedToken(t, special=False, normalized=False) for t in USER_DEFINED])
    return out


def compressed_ids(words: Tokenizer) -> np.ndarray:
    alone = "\ue000"  # what a single space is while the blanks at the ends go
    normal = normalizers.Sequence([
        normalizers.NFKC(), normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(),
        normalizers.Replace(Regex(r"[ \t\r\n]+"), " "), normalizers.Replace(Regex("^ $"), alone), normalizers.Strip(),
        normalizers.Replace(alone, " ")])
    ids, seen = [], {}
    for token in range(words.get_vocab_size()):
        said = words.decode([token], skip_special_tokens=False)
        key = words.id_to_token(token) if "\ufffd" in said else normal.normalize_str(said) or said
        ids.append(seen.setdefault(key, len(seen)))
    return np.array(ids)


def fp8_rows(weight: torch.Tensor):
    """(codes, scales, dequantized): e4m3, 32 of a row under one power of two."""
    groups = weight.reshape(len(weight), -1, 32)
    exponent = torch.ceil(torch.log2(groups.abs().amax(-1, keepdim=True) / 448))
    codes = (groups / torch.exp2(exponent)).to(torch.float8_e4m3fn)
    value = (codes.float() * torch.exp2(exponent)).reshape(weight.shape)
    scale = (exponent[..., 0] + 127).to(torch.uint8).view(torch.float8_e8m0fnu)
    return codes.reshape(weight.shape), scale, value


def stored(weights):
    """({name: tensor as stored}, {name: the values they stand for})."""
    tensors, values = {}, {}
    for name, array in weights.items():
        weight = torch.from_numpy(array)
        if ".experts." in name:
            tensors[name], tensors[name.replace(".weight", ".scale")], values[name] = fp4(weight)
        elif "engram.embed" in name:
            tensors[name], tensors[name.replace(".weight", ".scale")], values[name] = fp8_rows(weight)
        elif weight.ndim == 2 and any(part in name for part in FP8):
            codes, scale, values[name] = fp8(weight, power_of_two=True, block=32)
            tensors[name], tensors[name.replace(".weight", ".scale")] = codes, scale.to(torch.float8_e8m0fnu)
        else:
            tensors[name] = weight if any(part in name for part in FLOAT32) else weight.to(torch.bfloat16)
            values[name] = tensors[name].float()
    return tensors, {name: value.numpy() for name, value in values.items()}


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    words = tokenizer()
    ids = compressed_ids(words)
    config = {**COMMON, **SETTINGS, "vocab_size": words.get_vocab_size(),
              "engram_compressed_vocab_size": int(ids.max() + 1)}
    tensors, values = stored(random_weights(config, SEED))
    tokens, logits = computed(config, values, ids, TOKENS, SEED)
    # What a reader leaves out: drafting, pictures.
    for name in ("mtp.0.attn_norm.weight", "vision.norm.weight", "aligner.w1.bias", "image_start"):
        tensors[name] = torch.zeros(4, dtype=torch.bfloat16)
    for layer in range(config["num_hidden_layers"]):
        tensors[f"layers.{layer}.ffn.gate.bias_vl"] = torch.zeros(config["n_routed_experts"])
    text = {"model_type": "deepseek_v41_text", **config, "num_key_value_heads": 1, "hidden_act": "silu",
            "attention_bias": False, "tie_word_embeddings": False, "scoring_func": "sqrtsoftplus",
            "topk_method": "noaux_tc", "norm_topk_prob": True, "num_nextn_predict_layers": 3, "dspark_block_size": 5,
            "engram_num_embeddings": [len(values[f"layers.{layer}.engram.embed.weight"])
                                      for layer in config["engram_layer_ids"]]}
    whole = {"architectures": ["DeepseekV41ForCausalLM"], "model_type": "deepseek_v41", "torch_dtype": "bfloat16",
             "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "image_token_id": 90,
             "quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic",
                                     "weight_block_size": [32, 32], "scale_fmt": "ue8m0", "expert_dtype": "fp4"},
             "text_config": text,
             "vision_config": {"model_type": "deepseek_v41_vision", "num_hidden_layers": 2, "hidden_size": 16}}
    (OUT / "config.json").write_text(json.dumps(whole, indent=1) + "\n")
    # As decoded: names out of ASCII are escaped.
    (OUT / "tokenizer.json").write_text(json.dumps(json.loads(words.to_str()), separators=(",", ":")) + "\n")
    names = sorted(tensors)
    parts = {f"model-{i + 1:05}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, part in parts.items():
        save_file({name: tensors[name].contiguous() for name in part}, OUT / file, {"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (OUT / "model.safetensors.index.json").write_text(json.dumps(index, indent=0) + "\n")
    rows = {f"rows.{to}": torch.from_numpy(values[name][:32].copy()) for name, to in (
        ("layers.0.attn.wq_a.weight", "blk.0.attn_q_a.weight"),
        ("layers.0.ffn.experts.0.w1.weight", "blk.0.ffn_gate_exps.weight"),
        ("layers.1.engram.embed.weight", "blk.1.engram_embd.weight"),
        ("layers.1.engram.wkv.weight", "blk.1.engram_wkv.weight"))}
    save_file({"tokens": torch.from_numpy(tokens).int(), "logits": torch.from_numpy(logits).float(),
               "token_map": torch.from_numpy(ids).int(), **rows}, OUT / "golden.safetensors")
    size = sum(file.stat().st_size for file in OUT.iterdir())
    print(f"{OUT.name}: {size} bytes, {len(ids)} tokens read as {ids.max() + 1}, "
          f"logits in {logits.min():.2f} .. {logits.max():.2f}")


if __name__ == "__main__":
    main()
