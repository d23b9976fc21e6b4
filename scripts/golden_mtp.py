#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of the layers that draft (multi-token prediction) of DeepSeek V3 and V4, which transformers has
no class for: an independent reference in numpy, in double precision, written from the DeepSeek-V3 report (2412.19437,
sec. 2.1 and 2.2) and from DeepSeek's description of V4's layer. What the model thought of each token is random here: the layer is a
function of that and of the next token.

Usage: scripts/golden_mtp.py    (needs gguf and numpy)
"""

import json
import pathlib

import gguf
import numpy as np

import golden_gguf

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "engine" / "mtp"
ROWS, CHAIN, VOCAB, WIDTH, HEADS, EPS = 48, 3, 128, 64, 4, 1e-6
EXPERTS, USED, FFN = 8, 2, 32
# V3: latent attention, groups of experts.
LATENT, NOPE, ROPE, VALUE, Q_RANK, GROUPS, GROUPS_USED, SCALE = 64, 32, 16, 32, 64, 4, 2, 2.5
# V4: several streams, a window with sinks, a grouped output matrix.
STREAMS, HEAD, WINDOW, OUT_GROUPS, OUT_RANK, SINKHORN, HYPER_EPS, LIMIT = 4, 32, 16, 2, 32, 20, 1e-6, 0.8


def rms(x, weight=1.0):
    return weight * x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rotated(x, sign=1):  # (rows, ..., ROPE), neighbouring pairs, by the row's number
    angle = sign * np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(0, ROPE, 2) / ROPE)
    angle = angle.reshape(len(x), *(1 for _ in x.shape[1:-1]), ROPE // 2)
    a, b = x[..., 0::2], x[..., 1::2]
    return np.stack([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1).reshape(x.shape)


def with_rotated_end(x, sign=1):
    return np.concatenate([x[..., :-ROPE], rotated(x[..., -ROPE:], sign)], -1)


def gated(x, gate, up, down, limit=np.inf):
    g, u = np.minimum(x @ gate.T, limit), np.clip(x @ up.T, -limit, limit)
    return (g * sigmoid(g) * u) @ down.T


def experts(h, w, scores, chosen_by, scale, limit=np.inf):
    y = gated(h, *(w[f"ffn_{n}_shexp.weight"] for n in ("gate", "up", "down")), limit)
    for t in range(len(h)):
        top = np.argsort(-chosen_by[t], kind="stable")[:USED]
        weights = scale * scores[t, top] / scores[t, top].sum()
        for e, weight in zip(top, weights):
            y[t] += weight * gated(h[t], *(w[f"ffn_{n}_exps.weight"][e] for n in ("gate", "up", "down")), limit)
    return y


def join(w, table, tokens, states):  # states (rows, ..., WIDTH)
    token = rms(table[tokens], w["nextn.enorm.weight"])
    state = rms(states, w["nextn.hnorm.weight"])
    token = np.broadcast_to(token.reshape(len(tokens), *(1 for _ in states.shape[1:-1]), WIDTH), state.shape)
    return np.concatenate([token, state], -1) @ w["nextn.eh_proj.weight"].T


# ---- V3

def v3_attention(h, w):
    q = rms(h @ w["attn_q_a.weight"].T, w["attn_q_a_norm.weight"]) @ w["attn_q_b.weight"].T
    q = with_rotated_end(q.reshape(len(h), HEADS, NOPE + ROPE))
    kv = h @ w["attn_kv_a_mqa.weight"].T
    latent, key_end = rms(kv[:, :LATENT], w["attn_kv_a_norm.weight"]), rotated(kv[:, LATENT:])
    keys = np.einsum("sl,hln->shn", latent, w["attn_k_b.weight"])
    keys = np.concatenate([keys, np.broadcast_to(key_end[:, None], (len(h), HEADS, ROPE))], -1)
    values = np.einsum("sl,hvl->shv", latent, w["attn_v_b.weight"])
    scores = np.einsum("thd,shd->hts", q, keys) / np.sqrt(NOPE + ROPE)
    scores = np.where(np.tri(len(h), dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return np.einsum("hts,shv->thv", p, values).reshape(len(h), -1) @ w["attn_output.weight"].T


def v3_experts(h, w):
    scores = sigmoid(h @ w["ffn_gate_inp.weight"].T)
    biased = scores + w["exp_probs_b.bias"]
    grouped = np.sort(biased.reshape(len(h), GROUPS, -1), -1)[..., -2:].sum(-1)
    for t in range(len(h)):
        for g in np.argsort(-grouped[t], kind="stable")[GROUPS_USED:]:
            biased[t].reshape(GROUPS, -1)[g] = -np.inf
    return experts(h, w, scores, biased, SCALE)


def v3(w, model, tokens, states):
    x = join(w, model["token_embd.weight"], tokens, states)
    x = x + v3_attention(rms(x, w["attn_norm.weight"]), w)
    x = x + v3_experts(rms(x, w["ffn_norm.weight"]), w)
    x = rms(x, w["nextn.shared_head_norm.weight"])
    return x @ model["output.weight"].T, x


# ---- V4

def hyper(x, w, site):  # x (rows, STREAMS, WIDTH): what the block reads, and how its output goes back
    m = rms(x.reshape(len(x), -1)) @ w[f"hc_{site}_fn.weight"].T
    base, scale, n = w[f"hc_{site}_base.weight"], w[f"hc_{site}_scale.weight"], STREAMS
    pre = sigmoid(m[:, :n] * scale[0] + base[:n]) + HYPER_EPS
    post = 2 * sigmoid(m[:, n:2 * n] * scale[1] + base[n:2 * n])
    mix = (m[:, 2 * n:] * scale[2] + base[2 * n:]).reshape(-1, n, n)
    mix = np.exp(mix - mix.max(-1, keepdims=True))
    mix = mix / mix.sum(-1, keepdims=True) + HYPER_EPS
    mix /= mix.sum(1, keepdims=True) + HYPER_EPS
    for _ in range(SINKHORN - 1):
        mix /= mix.sum(2, keepdims=True) + HYPER_EPS
        mix /= mix.sum(1, keepdims=True) + HYPER_EPS
    merge = lambda out: post[..., None] * out[:, None] + np.einsum("tij,tiw->tjw", mix, x)
    return np.einsum("ti,tiw->tw", pre, x), merge


def v4_attention(h, w):
    q = rms(h @ w["attn_q_a.weight"].T, w["attn_q_a_norm.weight"]) @ w["attn_q_b.weight"].T
    q = with_rotated_end(rms(q.reshape(len(h), HEADS, HEAD)))
    kv = with_rotated_end(rms(h @ w["attn_kv.weight"].T, w["attn_kv_a_norm.weight"]))
    scores = np.einsum("thd,sd->hts", q, kv) / np.sqrt(HEAD)
    distance = np.arange(len(h))[:, None] - np.arange(len(h))
    scores = np.where((distance >= 0) & (distance < WINDOW), scores, -np.inf)
    scores = np.concatenate([scores, np.broadcast_to(w["attn_sinks.weight"][:, None, None], (HEADS, len(h), 1))], -1)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    o = with_rotated_end(np.einsum("hts,sd->thd", p[..., :-1], kv), -1)
    low = np.einsum("tgk,grk->tgr", o.reshape(len(h), OUT_GROUPS, -1), w["attn_output_a.weight"])
    return low.reshape(len(h), -1) @ w["attn_output_b.weight"].T


def v4_experts(h, w):
    scores = np.sqrt(np.log1p(np.exp(h @ w["ffn_gate_inp.weight"].T)))
    return experts(h, w, scores, scores + w["exp_probs_b.bias"], SCALE, LIMIT)


def v4(w, model, tokens, states):
    x = join(w, model["token_embd.weight"], tokens, states.reshape(len(tokens), STREAMS, WIDTH))
    read, merge = hyper(x, w, "attn")
    x = merge(v4_attention(rms(read, w["attn_norm.weight"]), w))
    read, merge = hyper(x, w, "ffn")
    x = merge(v4_experts(rms(read, w["ffn_norm.weight"]), w))
    m = rms(x.reshape(len(x), -1)) @ w["nextn.output_hc_fn.weight"].T
    pre = sigmoid(m * w["nextn.output_hc_scale.weight"] + w["nextn.output_hc_base.weight"]) + HYPER_EPS
    end = rms(np.einsum("ti,tiw->tw", pre, x), w["nextn.shared_head_norm.weight"])
    return end @ model["output.weight"].T, x.reshape(len(x), -1)


# ---- files

def common_shapes():
    shapes = {n + ".weight": (WIDTH,) for n in ("attn_norm", "ffn_norm")}
    shapes |= {"ffn_gate_inp.weight": (EXPERTS, WIDTH), "exp_probs_b.bias": (EXPERTS,)}
    for n, shape in (("gate", (FFN, WIDTH)), ("up", (FFN, WIDTH)), ("down", (WIDTH, FFN))):
        shapes |= {f"ffn_{n}_exps.weight": (EXPERTS, *shape), f"ffn_{n}_shexp.weight": shape}
    return shapes


def v3_shapes():
    return common_shapes() | {
        "attn_q_a.weight": (Q_RANK, WIDTH), "attn_q_a_norm.weight": (Q_RANK,),
        "attn_q_b.weight": (HEADS * (NOPE + ROPE), Q_RANK), "attn_kv_a_mqa.weight": (LATENT + ROPE, WIDTH),
        "attn_kv_a_norm.weight": (LATENT,), "attn_k_b.weight": (HEADS, LATENT, NOPE),
        "attn_v_b.weight": (HEADS, VALUE, LATENT), "attn_output.weight": (WIDTH, HEADS * VALUE)}


def v4_shapes():
    streams = {f"hc_{site}_{n}.weight": shape for site in ("attn", "ffn") for n, shape in (
        ("fn", ((2 + STREAMS) * STREAMS, STREAMS * WIDTH)), ("base", ((2 + STREAMS) * STREAMS,)), ("scale", (3,)))}
    return common_shapes() | streams | {
        "attn_q_a.weight": (Q_RANK, WIDTH), "attn_q_a_norm.weight": (Q_RANK,),
        "attn_q_b.weight": (HEADS * HEAD, Q_RANK), "attn_kv.weight": (HEAD, WIDTH), "attn_kv_a_norm.weight": (HEAD,),
        "attn_sinks.weight": (HEADS,), "attn_output_a.weight": (OUT_GROUPS, OUT_RANK, HEADS * HEAD // OUT_GROUPS),
        "attn_output_b.weight": (WIDTH, OUT_GROUPS * OUT_RANK)}


def ends_shapes(arch):
    shapes = {f"nextn.{n}.weight": (WIDTH,) for n in ("enorm", "hnorm", "shared_head_norm")}
    shapes["nextn.eh_proj.weight"] = (WIDTH, 2 * WIDTH)
    return shapes | (head_shapes("nextn.") if arch == "deepseek4" else {})


def head_shapes(prefix=""):
    return {prefix + "output_hc_fn.weight": (STREAMS, STREAMS * WIDTH), prefix + "output_hc_base.weight": (STREAMS,),
            prefix + "output_hc_scale.weight": (1,)}


def keep_f32(name, shape):
    return len(shape) == 1 or any(part in name for part in ("gate_inp", "gate.weight", "hc_"))


def random_weights(shapes, rng):
    weights = {}
    for name, shape in shapes.items():
        value = 0.15 * rng.standard_normal(shape)
        if "norm" in name:
            value = 1 + 0.4 * (rng.random(shape) - 0.5)
        elif name.endswith("_scale.weight"):
            value = 0.5 + rng.random(shape)
        elif len(shape) == 1:
            value = 0.5 * rng.standard_normal(shape)
        elif "gate_inp" in name:
            value *= 3
        weights[name] = value.astype(np.float32 if keep_f32(name, shape) else np.float16).astype(np.float64)
    return weights


def metadata(out, arch):
    out.add_name(arch + " with a layer that drafts")
    out.add_block_count(2)
    out.add_uint32(f"{arch}.nextn_predict_layers", 1)
    out.add_context_length(512)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(FFN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(1)
    out.add_layer_norm_rms_eps(EPS)
    out.add_q_lora_rank(Q_RANK)
    out.add_rope_dimension_count(ROPE)
    out.add_rope_freq_base(10000.0)
    out.add_expert_count(EXPERTS)
    out.add_expert_used_count(USED)
    out.add_expert_shared_count(1)
    out.add_expert_feed_forward_length(FFN)
    out.add_expert_weights_scale(SCALE)
    out.add_expert_weights_norm(True)
    if arch == "deepseek2":
        out.add_kv_lora_rank(LATENT)
        out.add_key_length(LATENT + ROPE)
        out.add_value_length(LATENT)
        out.add_key_length_mla(NOPE + ROPE)
        out.add_value_length_mla(VALUE)
        out.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        out.add_expert_group_count(GROUPS)
        out.add_expert_group_used_count(GROUPS_USED)
        return
    out.add_key_length(HEAD)
    out.add_value_length(HEAD)
    out.add_sliding_window(WINDOW)
    out.add_uint32("deepseek4.expert_gating_func", 4)
    out.add_array("deepseek4.swiglu_clamp_exp", [LIMIT, LIMIT])
    out.add_array("deepseek4.swiglu_clamp_shexp", [LIMIT, LIMIT])
    out.add_uint32("deepseek4.attention.output_group_count", OUT_GROUPS)
    out.add_uint32("deepseek4.attention.output_lora_rank", OUT_RANK)
    out.add_array("deepseek4.attention.compress_ratios", [0, 0])
    out.add_float32("deepseek4.attention.compress_rope_freq_base", 160000.0)
    out.add_uint32("deepseek4.hyper_connection.count", STREAMS)
    out.add_uint32("deepseek4.hyper_connection.sinkhorn_iterations", SINKHORN)
    out.add_float32("deepseek4.hyper_connection.epsilon", HYPER_EPS)
    out.add_uint32("deepseek4.hash_layer_count", 0)


def v3_checkpoint(named):
    """Names and rows of Hugging Face's checkpoints, with the copies of table and head that they have."""
    names = {"attn_q_a": "self_attn.q_a_proj", "attn_q_a_norm": "self_attn.q_a_layernorm",
             "attn_q_b": "self_attn.q_b_proj", "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
             "attn_kv_a_norm": "self_attn.kv_a_layernorm", "attn_output": "self_attn.o_proj",
             "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "ffn_gate_inp": "mlp.gate",
             "nextn.eh_proj": "eh_proj", "nextn.enorm": "enorm", "nextn.hnorm": "hnorm",
             "nextn.shared_head_norm": "shared_head.norm"}
    names |= {f"ffn_{n}_shexp": f"mlp.shared_experts.{n}_proj" for n in ("gate", "up", "down")}
    ends = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}
    stored = {}
    for name, value in named.items():
        if not name.startswith("blk."):
            stored[ends[name.removesuffix(".weight")] + ".weight"] = value
            continue
        _, layer, rest = name.split(".", 2)
        prefix, stem = f"model.layers.{layer}.", rest.removesuffix(".weight")
        if stem.endswith("_exps"):
            stored |= {f"{prefix}mlp.experts.{e}.{stem[4:-5]}_proj.weight": v for e, v in enumerate(value)}
        elif stem == "attn_k_b":
            both = np.concatenate([value.transpose(0, 2, 1), named[f"blk.{layer}.attn_v_b.weight"]], 1)
            stored[prefix + "self_attn.kv_b_proj.weight"] = both.reshape(-1, LATENT)
        elif stem == "exp_probs_b.bias":
            stored[prefix + "mlp.gate.e_score_correction_bias"] = value
        elif stem != "attn_v_b":
            stored[f"{prefix}{names[stem]}.weight"] = value
    stored["model.layers.1.embed_tokens.weight"] = stored["model.embed_tokens.weight"]
    stored["model.layers.1.shared_head.head.weight"] = stored["lm_head.weight"]
    config = {"model_type": "deepseek_v3", "kv_lora_rank": LATENT, "qk_nope_head_dim": NOPE, "qk_rope_head_dim": ROPE,
              "v_head_dim": VALUE, "n_group": GROUPS, "topk_group": GROUPS_USED, "topk_method": "noaux_tc",
              "scoring_func": "sigmoid", "first_k_dense_replace": 0}
    return config, stored


def v4_checkpoint(named):
    names = {"attn_q_a": "attn.wq_a", "attn_q_a_norm": "attn.q_norm", "attn_q_b": "attn.wq_b", "attn_kv": "attn.wkv",
             "attn_kv_a_norm": "attn.kv_norm", "attn_output_a": "attn.wo_a", "attn_output_b": "attn.wo_b",
             "attn_norm": "attn_norm", "ffn_norm": "ffn_norm", "ffn_gate_inp": "ffn.gate", "nextn.enorm": "enorm",
             "nextn.hnorm": "hnorm", "nextn.shared_head_norm": "norm", "ffn_gate_shexp": "ffn.shared_experts.w1",
             "ffn_down_shexp": "ffn.shared_experts.w2", "ffn_up_shexp": "ffn.shared_experts.w3"}
    ends = {"token_embd": "embed", "output": "head", "output_norm": "norm"}
    parts = {"gate": "w1", "down": "w2", "up": "w3"}
    stored = {}
    for name, value in named.items():
        stem = name.removesuffix(".weight")
        prefix, rest = "", stem
        if name.startswith("blk."):
            _, layer, rest = stem.split(".", 2)
            prefix = "layers.0." if layer == "0" else "mtp.0."
        rest = rest.removeprefix("nextn.") if "output_hc" in rest or "eh_proj" in rest else rest
        if rest.startswith("output_hc_"):
            stored[prefix + "hc_head_" + rest.removeprefix("output_hc_")] = value
        elif not prefix:
            stored[ends[rest] + ".weight"] = value
        elif rest == "eh_proj":
            stored[prefix + "e_proj.weight"], stored[prefix + "h_proj.weight"] = np.split(value, 2, 1)
        elif rest.endswith("_exps"):
            stored |= {f"{prefix}ffn.experts.{e}.{parts[rest[4:-5]]}.weight": v for e, v in enumerate(value)}
        elif rest == "exp_probs_b.bias":
            stored[prefix + "ffn.gate.bias"] = value
        elif rest == "attn_sinks":
            stored[prefix + "attn.attn_sink"] = value
        elif rest.startswith("hc_"):
            stored[prefix + rest] = value
        else:
            stored[f"{prefix}{names[rest]}.weight"] = value.reshape(-1, value.shape[-1]) if value.ndim == 3 else value
    config = {"model_type": "deepseek_v4", "head_dim": HEAD, "qk_rope_head_dim": ROPE, "sliding_window": WINDOW,
              "o_groups": OUT_GROUPS, "o_lora_rank": OUT_RANK, "index_n_heads": 1, "index_head_dim": HEAD,
              "index_topk": 1, "hc_mult": STREAMS, "hc_sinkhorn_iters": SINKHORN, "hc_eps": HYPER_EPS,
              "swiglu_limit": LIMIT, "scoring_func": "sqrtsoftplus", "compress_ratios": [0, 0], "num_hash_layers": 0,
              "compress_rope_theta": 160000.0}
    return config, stored


def write_checkpoint(folder, config, stored):
    folder.mkdir(parents=True, exist_ok=True)
    config |= {"num_hidden_layers": 1, "num_nextn_predict_layers": 1, "num_attention_heads": HEADS,
               "hidden_size": WIDTH, "moe_intermediate_size": FFN, "intermediate_size": FFN, "vocab_size": VOCAB,
               "max_position_embeddings": 512, "rms_norm_eps": EPS, "rope_theta": 10000.0, "q_lora_rank": Q_RANK,
               "n_routed_experts": EXPERTS, "num_experts_per_tok": USED, "n_shared_experts": 1,
               "norm_topk_prob": True, "routed_scaling_factor": SCALE}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    header, data = {}, b""
    for name, value in stored.items():
        value = np.ascontiguousarray(value, dtype=np.float32 if keep_f32(name, value.shape) else np.float16)
        header[name] = {"dtype": "F32" if value.dtype == np.float32 else "F16", "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    print(f"{folder.name}: {8 + len(text) + len(data)} bytes")


def write(arch, reference, layer_shapes, seed):
    rng = np.random.default_rng(seed)
    ends = {"token_embd.weight": (VOCAB, WIDTH), "output.weight": (VOCAB, WIDTH), "output_norm.weight": (WIDTH,)}
    model = random_weights(ends | (head_shapes() if arch == "deepseek4" else {}), rng)
    trunk, layer = random_weights(layer_shapes, rng), random_weights(layer_shapes | ends_shapes(arch), rng)
    tokens = rng.integers(0, VOCAB, ROWS)
    states = rng.standard_normal((ROWS, WIDTH * (STREAMS if arch == "deepseek4" else 1))).astype(np.float32)
    given = states
    for _ in range(1 + CHAIN):  # goes on with what it says and thinks itself
        logits, following = reference(layer, model, tokens, states)
        tokens, states = np.append(tokens, logits[-1].argmax()), np.concatenate([states, following[-1:]])
    path = OUT / f"{arch}_{seed}.gguf"
    out = gguf.GGUFWriter(path, arch)
    metadata(out, arch)
    named = model | {"blk.0." + n: v for n, v in trunk.items()} | {"blk.1." + n: v for n, v in layer.items()}
    for name, value in named.items():
        kind = np.float32 if keep_f32(name, value.shape) else np.float16
        out.add_tensor(name, np.ascontiguousarray(value, dtype=kind))
    golden_gguf.finish(out, path, tokens, states=given, logits=logits, next=following)
    if seed == 1:  # the same as a checkpoint
        write_checkpoint(OUT / path.stem, *(v3_checkpoint if arch == "deepseek2" else v4_checkpoint)(named))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for seed in (1, 2, 3):
        write("deepseek2", v3, v3_shapes(), seed)
        write("deepseek4", v4, v4_shapes(), seed)


if __name__ == "__main__":
    main()
