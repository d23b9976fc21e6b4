# SPDX-License-Identifier: Apache-2.0
"""DeepSeek V4.1 in float64, as docs/deepseek-v4.1.md has it: no library has one. Weights carry the released
checkpoint's names; with it tiny random models, and texts in which no choice is near a tie."""

import math
import sys

import numpy as np

COMMON = dict(vocab_size=96, hidden_size=64, num_attention_heads=4, head_dim=32, qk_rope_head_dim=16, q_lora_rank=32,
              o_groups=2, o_lora_rank=16, moe_intermediate_size=16, n_routed_experts=4, num_experts_per_tok=2,
              n_shared_experts=1, routed_scaling_factor=1.5, swiglu_limit=0.7, sliding_window=16, rms_norm_eps=1e-20,
              max_position_embeddings=4096, rope_theta=10000.0, compress_rope_theta=160000.0,
              rope_scaling=dict(rope_type="yarn", factor=16.0, beta_fast=32, beta_slow=1,
                                original_max_position_embeddings=64),
              index_n_heads=8, index_head_dim=32, index_topk=8, candidate_topk_blocks=5, candidate_block_size=4,
              hc_mult=4, hc_sinkhorn_iters=20, hc_eps=1e-6, engram_max_ngram_size=4, engram_n_heads=2,
              engram_head_dim=8, engram_vocab_size=40, engram_pad_token_id=2)


# --- What follows from the config ---

def sieve(bound: int) -> np.ndarray:
    prime = np.ones(bound, bool)
    prime[:2] = False
    for i in range(2, math.isqrt(bound) + 1):
        prime[i * i::i] &= not prime[i]
    return prime


def engram_primes(config) -> np.ndarray:
    """(layer, n, head): primes, none used twice."""
    prime = sieve(4 * config["engram_vocab_size"] + 1000)
    primes = []
    for _ in config["engram_layer_ids"]:
        for _ in range(config["engram_max_ngram_size"] - 1):
            at = config["engram_vocab_size"] - 1
            for _ in range(config["engram_n_heads"]):
                at += 1 + int(np.argmax(prime[at + 1:]))
                prime[at] = False
                primes.append(at)
    return np.array(primes, np.int64).reshape(len(config["engram_layer_ids"]), -1, config["engram_n_heads"])


def engram_offsets(primes: np.ndarray) -> np.ndarray:
    flat = primes.reshape(len(primes), -1)
    return (np.cumsum(flat, axis=1) - flat).reshape(primes.shape)


def engram_multipliers(config, compressed: int) -> np.ndarray:
    """(layer, how far back)."""
    bound = np.iinfo(np.int64).max // compressed // 2
    return np.stack([np.random.default_rng(10007 * layer).integers(0, bound, config["engram_max_ngram_size"]) * 2 + 1
                     for layer in config["engram_layer_ids"]])


def engram_rows(config, ids: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(layer, token, n and head): which rows of the layer's table. ids: the compressed id of each token."""
    pad = ids[config["engram_pad_token_id"]]
    back = config["engram_max_ngram_size"]
    padded = np.concatenate([np.full(back - 1, pad), ids[tokens]])
    primes = engram_primes(config)
    offsets, multipliers = engram_offsets(primes), engram_multipliers(config, ids.max() + 1)
    rows = []
    for layer in range(len(config["engram_layer_ids"])):
        mixed = padded[back - 1:] * multipliers[layer][0]
        columns = []
        for n in range(1, back):
            mixed = mixed ^ (padded[back - 1 - n:len(padded) - n] * multipliers[layer][n])
            columns += [mixed % p + o for p, o in zip(primes[layer][n - 1], offsets[layer][n - 1])]
        rows.append(np.stack(columns, axis=1))
    return np.stack(rows)


def frequencies(config, compressed: bool) -> np.ndarray:
    dim = config["qk_rope_head_dim"]
    theta = config["compress_rope_theta"] if compressed else config["rope_theta"]
    plain = theta ** (-np.arange(0, dim, 2) / dim)
    scaling = config["rope_scaling"] if compressed else None
    if scaling is None:
        return plain

    def pair_of(turns):
        return dim * math.log(scaling["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (
            2 * math.log(theta))

    low = max(math.floor(pair_of(scaling["beta_fast"])), 0)
    high = min(math.ceil(pair_of(scaling["beta_slow"])), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 1e-3), 0, 1)
    return plain / scaling["factor"] * ramp + plain * (1 - ramp)


# --- The pieces ---

def rms(x, weight, eps):
    return weight * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def rotate(x, angles, sign=1):
    """The last elements of x (tokens, ..., elements) in neighbouring pairs; angles: (tokens, pairs)."""
    size = 2 * angles.shape[1]
    turn = np.exp(sign * 1j * angles).reshape(len(angles), *[1] * (x.ndim - 2), -1)
    turned = (x[..., -size::2] + 1j * x[..., -size + 1::2]) * turn
    out = x.copy()
    out[..., -size::2], out[..., -size + 1::2] = turned.real, turned.imag
    return out


def best(scores: np.ndarray, count: int):
    """Which `count` of each row are greatest (those of -inf never), and the least distance to the first left out."""
    keep = np.zeros(scores.shape, bool)
    count = min(count, scores.shape[1])
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(keep, order[:, :count], True, axis=1)
    margin = np.inf
    if 0 < count < scores.shape[1]:
        last, next_ = (np.take_along_axis(scores, order[:, i:i + 1], 1) for i in (count - 1, count))
        both = np.isfinite(next_) & np.isfinite(last)
        margin = np.min(last[both] - next_[both], initial=np.inf)
    return keep & (scores > -np.inf), margin


class Reference:
    def __init__(self, config, weights, ids):
        self.config, self.ids, self.margin = config, ids, np.inf
        self.weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}

    def choose(self, scores, count):
        keep, margin = best(scores, count)
        self.margin = min(self.margin, margin)
        return keep

    def layer(self, index):
        prefix = f"layers.{index}."
        return {name[len(prefix):].removesuffix(".weight"): value for name, value in self.weights.items()
                if name.startswith(prefix)}

    def mixes(self, w, which, x):
        """pre (tokens, streams), post (tokens, streams), comb (tokens, from, to) of x (tokens, streams, width)."""
        c = self.config
        streams, eps = c["hc_mult"], c["hc_eps"]
        flat = x.reshape(len(x), -1)
        mix = flat @ w[f"hc_{which}_fn"].T / np.sqrt(np.mean(flat * flat, axis=1, keepdims=True) + c["rms_norm_eps"])
        scale, base = w[f"hc_{which}_scale"], w[f"hc_{which}_base"]
        pre = sigmoid(mix[:, :streams] * scale[0] + base[:streams]) + eps
        post = 2 * sigmoid(mix[:, streams:2 * streams] * scale[1] + base[streams:2 * streams])
        comb = softmax((mix[:, 2 * streams:] * scale[2] + base[2 * streams:]).reshape(-1, streams, streams)) + eps
        comb = comb / (comb.sum(axis=1, keepdims=True) + eps)
        for _ in range(c["hc_sinkhorn_iters"] - 1):
            comb = comb / (comb.sum(axis=2, keepdims=True) + eps)
            comb = comb / (comb.sum(axis=1, keepdims=True) + eps)
        return pre, post, comb

    def engram(self, w, x, rows):
        c = self.config
        streams, width, eps = c["hc_mult"], c["hidden_size"], c["rms_norm_eps"]
        kv = w["engram.embed"][rows].reshape(len(x), -1) @ w["engram.wkv"].T
        key, value = kv[:, :streams * width].reshape(x.shape), kv[:, streams * width:]
        dot = (x * key * w["engram.q_weight"] * w["engram.k_weight"]).sum(-1) / math.sqrt(width)
        dot = dot / np.sqrt((x * x).mean(-1) + eps) / np.sqrt((key * key).mean(-1) + eps)
        gate = sigmoid(np.copysign(np.sqrt(np.maximum(np.abs(dot), 1e-6)), dot))
        return x + gate[..., None] * value[:, None, :]

    def compress(self, w, x, ratio):
        """The normed entries (whole groups only), not yet rotated."""
        x = x[:len(x) // ratio * ratio]
        value = x @ w["attn.compressor.wkv"].T
        if ratio > 1:
            gate = softmax((x @ w["attn.compressor.wgate"].T).reshape(-1, ratio, value.shape[1]), axis=1)
            value = (value.reshape(gate.shape) * gate).sum(axis=1)
        return rms(value, w["attn.compressor.norm"], self.config["rms_norm_eps"])

    def select(self, w, layer, x, q_latent, angles, shared):
        """(tokens, entries): which entries each token sees."""
        c = self.config
        heads, width = c["index_n_heads"], c["index_head_dim"]
        query = rotate((q_latent @ w["attn.indexer.wq_b"].T).reshape(len(x), heads, width), angles)
        weight = x @ w["attn.indexer.weights_proj"].T * width ** -0.5 * heads ** -0.5
        scores = np.einsum("th,the->te", weight, np.maximum(np.einsum("thd,ed->the", query, shared["index_keys"]), 0))
        visible = (np.arange(1, len(x) + 1) // c["compress_ratios"][layer])[:, None]
        scores = np.where(np.arange(scores.shape[1]) < visible, scores, -np.inf)
        if layer == c["candidate_source_layer_id"]:
            shared["candidates"] = self.candidates(scores, visible)
        elif 0 <= c["candidate_source_layer_id"] < layer:
            scores = np.where(shared["candidates"], scores, -np.inf)
        return self.choose(scores, c["index_topk"])

    def candidates(self, scores, visible):
        size = self.config["candidate_block_size"]
        blocks = -(-scores.shape[1] // size)
        padded = np.full((len(scores), blocks * size), -np.inf)
        padded[:, :scores.shape[1]] = scores
        block_scores = padded.reshape(len(scores), blocks, size).max(axis=2)
        block_scores[np.arange(blocks) == (visible - 1) // size] = np.inf
        keep = self.choose(block_scores, self.config["candidate_topk_blocks"])
        return np.repeat(keep, size, axis=1)[:, :scores.shape[1]]

    def attention(self, w, layer, x, shared):
        c = self.config
        heads, width, ratio, eps = c["num_attention_heads"], c["head_dim"], c["compress_ratios"][layer], c["rms_norm_eps"]
        position = np.arange(len(x))
        angles = np.outer(position, frequencies(c, ratio > 0))
        q_latent = rms(x @ w["attn.wq_a"].T, w["attn.q_norm"], eps)
        query = rotate((q_latent @ w["attn.wq_b"].T).reshape(len(x), heads, width), angles)
        keys = rotate(rms(x @ w["attn.wkv"].T, w["attn.kv_norm"], eps), angles)
        behind = position[:, None] - position
        seen = (behind >= 0) & (behind < c["sliding_window"])
        if ratio > 0:
            if layer in c["kv_source_layer_ids"]:
                latent = self.compress(w, x, ratio)
                firsts = angles[::ratio][:len(latent)]
                shared["entries"] = rotate(latent, firsts)
                index_keys = rms(latent @ w["attn.indexer.wk"].T, w["attn.indexer.k_norm"], eps)
                shared["index_keys"] = rotate(index_keys, firsts)
            if layer in c["index_source_layer_ids"]:
                shared["selected"] = self.select(w, layer, x, q_latent, angles, shared)
            keys = np.concatenate([keys, shared["entries"]])
            seen = np.concatenate([seen, shared["selected"]], axis=1)
        scores = np.einsum("thd,kd->thk", query, keys) * width ** -0.5
        scores = np.where(seen[:, None, :], scores, -np.inf)
        sinks = np.broadcast_to(w["attn.attn_sink"][:, None], (len(x), heads, 1))
        probabilities = softmax(np.concatenate([scores, sinks], axis=2))[..., :-1]
        out = rotate(np.einsum("thk,kd->thd", probabilities, keys), angles, -1)
        groups = c["o_groups"]
        low = np.einsum("tgi,goi->tgo", out.reshape(len(x), groups, -1),
                        w["attn.wo_a"].reshape(groups, c["o_lora_rank"], -1))
        return low.reshape(len(x), -1) @ w["attn.wo_b"].T

    def expert(self, w, name, x):
        limit = self.config["swiglu_limit"]
        gate = np.minimum(x @ w[name + "w1"].T, limit)
        return gate * sigmoid(gate) * np.clip(x @ w[name + "w3"].T, -limit, limit) @ w[name + "w2"].T

    def experts(self, w, x):
        c = self.config
        scores = np.sqrt(np.log1p(np.exp(x @ w["ffn.gate"].T)))
        chosen = self.choose(scores + w["ffn.gate.bias"], c["num_experts_per_tok"])
        weights = np.where(chosen, scores, 0)
        weights = weights / (weights.sum(axis=1, keepdims=True) + 1e-20) * c["routed_scaling_factor"]
        out = self.expert(w, "ffn.shared_experts.", x)
        for e in range(c["n_routed_experts"]):
            out = out + weights[:, e:e + 1] * self.expert(w, f"ffn.experts.{e}.", x)
        return out

    def forward(self, tokens):
        c = self.config
        rows = engram_rows(c, self.ids, tokens)
        x = np.repeat(self.weights["embed.weight"][tokens][:, None, :], c["hc_mult"], axis=1)
        pre = np.zeros((len(tokens), c["hc_mult"]))
        pre[:, 0] = 1
        shared = {}
        for layer in range(c["num_hidden_layers"]):
            w = self.layer(layer)
            if layer in c["engram_layer_ids"]:
                x = self.engram(w, x, rows[c["engram_layer_ids"].index(layer)])
            for which in ("attn", "ffn"):
                next_pre, post, comb = self.mixes(w, which, x)
                y = rms(np.einsum("ts,tsd->td", pre, x), w[which + "_norm"], c["rms_norm_eps"])
                y = self.attention(w, layer, y, shared) if which == "attn" else self.experts(w, y)
                x = post[..., None] * y[:, None, :] + np.einsum("tij,tid->tjd", comb, x)
                pre = next_pre
        y = rms(np.einsum("ts,tsd->td", pre, x), self.weights["norm.weight"], c["rms_norm_eps"])
        return y @ self.weights["head.weight"].T


# --- Random weights, by the released names ---

def shapes(config) -> dict:
    c = config
    width, streams, head, rank, inner = (c["hidden_size"], c["hc_mult"], c["head_dim"], c["q_lora_rank"],
                                         c["moe_intermediate_size"])
    heads, index = c["num_attention_heads"] * head, c["index_n_heads"] * c["index_head_dim"]
    columns = (c["engram_max_ngram_size"] - 1) * c["engram_n_heads"] * c["engram_head_dim"]
    tables = engram_primes(c).sum(axis=(1, 2))
    out = {"embed.weight": (c["vocab_size"], width), "norm.weight": (width,), "head.weight": (c["vocab_size"], width)}
    for layer, ratio in enumerate(c["compress_ratios"][:c["num_hidden_layers"]]):
        own = {"attn_norm.weight": (width,), "ffn_norm.weight": (width,), "attn.attn_sink": (c["num_attention_heads"],),
               "attn.wq_a.weight": (rank, width), "attn.q_norm.weight": (rank,), "attn.wq_b.weight": (heads, rank),
               "attn.wkv.weight": (head, width), "attn.kv_norm.weight": (head,),
               "attn.wo_a.weight": (c["o_groups"] * c["o_lora_rank"], heads // c["o_groups"]),
               "attn.wo_b.weight": (width, c["o_groups"] * c["o_lora_rank"]),
               "ffn.gate.weight": (c["n_routed_experts"], width), "ffn.gate.bias": (c["n_routed_experts"],)}
        for which in ("attn", "ffn"):
            own[f"hc_{which}_fn"] = ((2 + streams) * streams, streams * width)
            own[f"hc_{which}_base"], own[f"hc_{which}_scale"] = ((2 + streams) * streams,), (3,)
        for name in ["shared_experts", *[f"experts.{e}" for e in range(c["n_routed_experts"])]]:
            own |= {f"ffn.{name}.w1.weight": (inner, width), f"ffn.{name}.w3.weight": (inner, width),
                    f"ffn.{name}.w2.weight": (width, inner)}
        if layer in c["kv_source_layer_ids"]:
            own |= {"attn.compressor.wkv.weight": (head, width), "attn.compressor.norm.weight": (head,),
                    "attn.indexer.wk.weight": (c["index_head_dim"], head),
                    "attn.indexer.k_norm.weight": (c["index_head_dim"],)}
            if ratio > 1:
                own["attn.compressor.wgate.weight"] = (head, width)
        if layer in c["index_source_layer_ids"]:
            own |= {"attn.indexer.wq_b.weight": (index, rank), "attn.indexer.weights_proj.weight": (c["index_n_heads"],
                                                                                                   width)}
        if layer in c["engram_layer_ids"]:
            own |= {"engram.embed.weight": (int(tables[c["engram_layer_ids"].index(layer)]), c["engram_head_dim"]),
                    "engram.wkv.weight": (width * (streams + 1), columns), "engram.q_weight": (streams, width),
                    "engram.k_weight": (streams, width)}
        out |= {f"layers.{layer}.{name}": shape for name, shape in own.items()}
    return out


def stays_float(name: str) -> bool:
    """Whether files keep it in float32."""
    return any(part in name for part in ("norm", "sink", "_base", "_scale", "q_weight", "k_weight", "ffn.gate",
                                         "weights_proj"))


def random_weights(config, seed: int) -> dict:
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes(config).items():
        if "norm" in name or name.endswith(("q_weight", "k_weight")):
            value = 1 + 0.4 * (random.random(shape) - 0.5)
        elif name.endswith("scale"):
            value = 0.5 + random.random(shape)
        else:
            size = next((size for part, size in
                         {"sink": 0.5, "_base": 0.5, "_fn": 0.2, "gate.bias": 0.1, "ffn.gate": 0.3, "compressor": 0.3,
                          "indexer": 0.3, "embed": 0.5, "attn.wq_b": 0.3}.items() if part in name), 0.15)
            value = size * random.standard_normal(shape)
        weights[name] = value.astype(np.float32 if stays_float(name) else np.float16).astype(np.float32)
    return weights


def text(config, count: int, seed: int) -> np.ndarray:
    """Random tokens, with a stretch that comes again and tokens in a row that are the same."""
    tokens = np.random.default_rng(seed).integers(0, config["vocab_size"], count)
    tokens[-106:-76] = tokens[20:50]
    tokens[60:66] = tokens[60]
    tokens[0] = config["engram_pad_token_id"]
    return tokens


def computed(config, weights, ids, count: int, seed: int):
    """(tokens, logits), of the first text where no choice is nearly a tie."""
    for attempt in range(100):
        reference = Reference(config, weights, ids)
        tokens = text(config, count, 1000 * seed + attempt)
        logits = reference.forward(tokens)
        if reference.margin > 2e-5:
            return tokens, logits
    sys.exit(f"{seed}: every text has a choice that is nearly a tie")
