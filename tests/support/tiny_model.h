// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "base/half.h"
#include "support/gguf_builder.h"

namespace deepwell::testing_support {

/// A model of random weights, whole but tiny, and ways to spoil one of its tensors:
///
///   TinyModel model;
///   model.without = "output_norm.weight";
///   model.build().write(temp / "broken.gguf");
struct TinyModel {
  std::string architecture = "llama";
  std::int64_t layers = 2, width = 64, heads = 4, kv_heads = 2, head_dim = 16, ffn = 96, vocabulary = 128,
               context = 512;
  bool tied = false, biases = false;
  std::uint64_t seed = 1;

  std::string without;    ///< a tensor to leave out
  std::string reshaped;   ///< a tensor that gets a row too many (vectors: an element)
  std::string as_bytes;   ///< a tensor stored as I8, a type with which nothing can compute
  std::string with_nans;  ///< a tensor full of NaN
  /// Makes a matrix (rows, k) in another form than F32: adds it to the builder itself.
  std::function<void(GgufBuilder&, const std::string&, std::int64_t rows, std::int64_t k, std::uint64_t seed)>
      matrix;

  GgufBuilder build() const {
    GgufBuilder out;
    const std::string a = architecture + ".";
    const auto number = [&](const char* key, std::int64_t value) {
      out.set(a + key, static_cast<std::uint32_t>(value));
    };
    out.set("general.architecture", architecture).set("general.name", "tiny");
    number("block_count", layers);
    number("embedding_length", width);
    number("feed_forward_length", ffn);
    number("context_length", context);
    number("attention.head_count", heads);
    number("attention.head_count_kv", kv_heads);
    if (head_dim * heads != width) {
      number("attention.key_length", head_dim);
      number("attention.value_length", head_dim);
    }
    out.set(a + "attention.layer_norm_rms_epsilon", 1e-5F).set(a + "rope.freq_base", 10000.0F);
    std::uint64_t next = seed * 1000;
    add(out, "token_embd.weight", vocabulary, width, ++next);
    for (std::int64_t i = 0; i < layers; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      norm(out, block + "attn_norm.weight", ++next);
      linear(out, block + "attn_q", heads * head_dim, width, ++next);
      linear(out, block + "attn_k", kv_heads * head_dim, width, ++next);
      linear(out, block + "attn_v", kv_heads * head_dim, width, ++next);
      add(out, block + "attn_output.weight", width, heads * head_dim, ++next);
      norm(out, block + "ffn_norm.weight", ++next);
      add(out, block + "ffn_gate.weight", ffn, width, ++next);
      add(out, block + "ffn_up.weight", ffn, width, ++next);
      add(out, block + "ffn_down.weight", width, ffn, ++next);
    }
    norm(out, "output_norm.weight", ++next);
    if (!tied) add(out, "output.weight", vocabulary, width, ++next);
    return out;
  }

 private:
  void add(GgufBuilder& out, const std::string& name, std::int64_t rows, std::int64_t k,
           std::uint64_t number) const {
    if (name == without) return;
    if (name == reshaped) ++rows;
    if (name == as_bytes)
      out.tensor(name, {k, rows}, TypeId::kI8, std::string(static_cast<std::size_t>(rows * k), '\1'));
    else if (name == with_nans)
      out.tensor(name, {k, rows}, std::vector<float>(static_cast<std::size_t>(rows * k), NAN));
    else if (matrix)
      matrix(out, name, rows, k, number);
    else
      out.random_tensor(name, {k, rows}, 1.5F / std::sqrt(static_cast<float>(k)), number);
  }
  void linear(GgufBuilder& out, const std::string& name, std::int64_t rows, std::int64_t k,
              std::uint64_t number) const {
    add(out, name + ".weight", rows, k, number);
    if (biases) vector(out, name + ".bias", rows, 0.0F, number + 500);
  }
  void norm(GgufBuilder& out, const std::string& name, std::uint64_t number) const {
    vector(out, name, width, 1.0F, number);
  }
  void vector(GgufBuilder& out, const std::string& name, std::int64_t n, float around,
              std::uint64_t number) const {
    if (name == without) return;
    std::mt19937_64 random(number);
    std::uniform_real_distribution<float> spread(-0.2F, 0.2F);
    std::vector<float> values(static_cast<std::size_t>(name == reshaped ? n + 1 : n));
    for (float& value : values) value = name == with_nans ? NAN : around + spread(random);
    if (name == as_bytes)
      out.tensor(name, {n}, TypeId::kI8, std::string(static_cast<std::size_t>(n), '\1'));
    else
      out.tensor(name, {static_cast<std::int64_t>(values.size())}, values);
  }
};

}  // namespace deepwell::testing_support
