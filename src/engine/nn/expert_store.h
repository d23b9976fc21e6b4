// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/direct_reader.h"
#include "engine/nn/packed_matrix.h"

namespace deepwell {

/// Experts of a model that is larger than memory: those used most lie in a cache, as the file has them; the
/// others are read when a layer chose them, many at a time. Unopened it does nothing.
///
/// A layer tells whom it needs (begin), multiplies those that are here, and then takes the others one by one
/// as they come (wait, done). All results have the same bits as with everything in memory.
///
/// Threads   the engine's.
class ExpertStore {
 public:
  using Find = std::function<FilePlace(std::span<const std::byte>)>;
  using Matrices = std::array<std::shared_ptr<PackedMatrix>, 3>;  ///< gate, up, down

  /// A layer; returns its index. No slab of the matrices may be packed, now or later, if open() is called.
  int add(Matrices matrices);
  std::int64_t bytes() const;           ///< of all experts
  std::int64_t bytes_at_least() const;  ///< the smallest cache that works
  /// From now on experts are read from where `find` says they lie. kIo, kInvalid (the cache is too small).
  Status open(std::int64_t cache_bytes, const Find& find, bool ring = true);
  bool is_open() const { return reader_ != nullptr; }
  std::int64_t cache_bytes() const { return std::ssize(slots_) * slot_bytes(); }

  bool has(int layer, std::int32_t expert) const;
  /// Starts reading what is not here, in this order, and keeps the others until done().
  void begin(int layer, std::span<const std::int32_t> experts);
  /// False when it could not be read: see take_failure().
  bool wait(int layer, std::int32_t expert);
  void done(int layer, std::int32_t expert);
  bool failed() const { return !failure_.empty(); }
  /// The first error since the last call.
  Status take_failure();

  struct Stats {
    std::int64_t hits = 0, misses = 0, bytes_read = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Expert {
    int slot = -1;
    double score = 0;  // uses, older ones counting less
  };
  struct Layer {
    Matrices matrices;
    std::array<FilePlace, 3> places;
    std::array<int, 3> files{};
    std::array<std::span<const std::byte>, 3> mapped;  // all slabs: where products read when nothing is lent
    std::vector<Expert> experts;
  };
  struct Slot {
    int layer = -1;  // -1: free
    std::int32_t expert = 0;
    bool kept = false, ready = false;
    std::array<DirectReader::Read, 3> reads;
  };
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const;
  };
  Expert& at(int layer, std::int32_t expert) {
    return layers_[static_cast<std::size_t>(layer)].experts[static_cast<std::size_t>(expert)];
  }
  std::int64_t slot_bytes() const;
  int slot_for_one_more();
  void let_go(Slot& slot);
  void read_ahead();

  std::vector<Layer> layers_;
  std::unique_ptr<std::byte, Unmap> memory_{nullptr, Unmap{0}};
  std::vector<Slot> slots_;
  std::deque<std::pair<int, std::int32_t>> wanted_;  // not yet being read
  double use_ = 1;                                   // what a use counts now
  std::string failure_;
  Stats stats_;
  std::unique_ptr<DirectReader> reader_;  // last: it stops before the memory that it writes goes
};

}  // namespace deepwell
