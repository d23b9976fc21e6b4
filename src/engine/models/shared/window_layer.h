// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

#include "engine/models/loader.h"
#include "engine/nn/compressor.h"
#include "engine/nn/feed_forward.h"
#include "engine/nn/hyper_connection.h"
#include "engine/nn/indexer.h"
#include "engine/nn/window_attention.h"

namespace deepwell {

/// What a DeepSeek V4 file and a V4.1 file say alike.
struct WindowSizes {
  std::int64_t layers, width, heads, head_dim, rope, q_rank, groups, out_rank, window;
  std::int64_t index_heads, index_width, index_top;  // of the indexer; 0 where no layer has one
  std::int64_t streams, iterations;                  // of the hyper-connections
  float eps, hyper_eps;
  std::vector<std::int64_t> ratios;  // of each layer: tokens per compressed entry; 0: window only

  /// All but the indexer's; `known`: the ratios, besides 0, that the model's operators know.
  Status read(const Loader& loader, std::initializer_list<std::int64_t> known);
  Status read_indexer(const Loader& loader);

  WindowAttention attention() const;
  /// Of the attention's entries: stream 0 and rolling state 1 of a layer, as the window is state 0.
  Compressor compressor(std::int64_t ratio) const;
  Indexer indexer(std::int64_t ratio) const;  ///< its keys are stream 1
};

/// A sentence about a file whose numbers contradict each other.
Error wrong_file(const Loader& loader, const std::string& what);

/// The angles of a step's rows, there and back.
struct Angles {
  const Rope* rope;
  Rope::Table there, back;

  static Angles of(const Rope& rope, const Batch& batch, Context& context);
};

/// The two rotations of such models.
struct WindowRopes {
  Rope plain, compressed;  // of layers without and with compressed entries

  static Result<WindowRopes> read(Loader& loader, std::int64_t pairs);
};

/// A layer of V4 or V4.1, but for what it remembers beyond the window.
struct WindowLayer {
  std::int64_t ratio = 0;
  HyperConnection attn_streams, ffn_streams;
  RmsNormLayer attn_norm, ffn_norm;  // (width) x2
  Linear q_a, q_b;                   // (q_rank, width), (heads*head_dim, q_rank)
  RmsNormLayer q_a_norm;             // (q_rank)
  RmsNormLayer q_norm;               // (head_dim), of each head; empty: there is none
  Linear kv;                         // (head_dim, width)
  RmsNormLayer kv_norm;              // (head_dim)
  WindowAttention attention;
  HeadLinear out_a;  // of a group of heads (out_rank, heads/groups*head_dim)
  Linear out_b;      // (width, groups*out_rank)
  FeedForward ffn;

  Status load(Loader& loader, const WindowSizes& sizes, std::int64_t index);

  /// What attention begins with, in scratch memory.
  struct Query {
    Input input, low;  // the block's input; the low-rank query
    float *q, *kv;     // (rows, heads, head_dim), (rows, head_dim), both rotated
  };
  /// h (rows, width).
  Query query(const float* h, std::int64_t rows, const Angles& angles, Context& context) const;
  /// out (rows, width) of seen (rows, heads, head_dim), which is turned back in place.
  void finish(float* seen, std::int64_t rows, const Angles& angles, float* out, Context& context) const;
};

/// Makes a compressor's values and gates of the block's input, and has it take them. What it takes of scratch
/// stays taken: the input may keep some of it.
void compress(const Compressor& compressor, Input& input, const Batch& batch, std::int64_t layer,
              const CompletedBlocks& blocks, const Rope& rope, Context& context, float* latents = nullptr);

/// The residual's streams at first: each token's embedding in all of them. x (rows, streams, width); h (rows,
/// width) is overwritten.
void start_streams(const Embedding& table, const Batch& batch, std::int64_t streams, float* h, float* x,
                   Context& context);

}  // namespace deepwell
