// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/expert_store.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/human.h"

namespace deepwell {
namespace {

// A use from a thousand layers ago counts half as much as one from now.
constexpr double kGrowth = 1.0007;
constexpr double kRescale = 1e100;
constexpr std::int64_t kSlotsLeast = 4;

}  // namespace

void ExpertStore::Unmap::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

int ExpertStore::add(Matrices matrices) {
  Layer layer;
  layer.experts.resize(static_cast<std::size_t>(matrices[0]->slabs()));
  for (std::size_t i = 0; i < 3; ++i) {
    const std::span<const std::byte> first = matrices[i]->file_rows(0);
    layer.mapped[i] = {first.data(), first.size() * static_cast<std::size_t>(matrices[i]->slabs())};
  }
  layer.matrices = std::move(matrices);
  layers_.push_back(std::move(layer));
  return static_cast<int>(layers_.size()) - 1;
}

std::int64_t ExpertStore::bytes() const {
  std::int64_t total = 0;
  for (const Layer& layer : layers_)
    for (const auto& all : layer.mapped) total += static_cast<std::int64_t>(all.size());
  return total;
}

std::int64_t ExpertStore::slot_bytes() const {
  std::int64_t most = 0;
  for (const Layer& layer : layers_) {
    std::int64_t sum = 0;
    for (const auto& matrix : layer.matrices)
      sum += DirectReader::room(static_cast<std::int64_t>(matrix->file_rows(0).size()));
    most = std::max(most, sum);
  }
  return most;
}

std::int64_t ExpertStore::bytes_at_least() const { return kSlotsLeast * slot_bytes(); }

Status ExpertStore::open(std::int64_t cache_bytes, const Find& find, bool ring) {
  DW_CHECK(!layers_.empty() && !is_open());
  std::int64_t experts = 0;
  for (const Layer& layer : layers_) experts += std::ssize(layer.experts);
  const std::int64_t slots = std::min(experts, cache_bytes / slot_bytes());
  if (slots < kSlotsLeast)
    return Error{
        ErrorCode::kInvalid,
        fmt::format("a cache of {} for experts is too small: it takes {} at least; use a larger "
                    "--expert-cache, or free memory",
                    human_bytes(std::max<std::int64_t>(0, cache_bytes)), human_bytes(bytes_at_least()))};
  std::vector<std::string> paths;
  for (Layer& layer : layers_) {
    for (std::size_t i = 0; i < 3; ++i) {
      layer.places[i] = find(layer.mapped[i]);
      const auto known = std::find(paths.begin(), paths.end(), layer.places[i].path);
      layer.files[i] = static_cast<int>(known - paths.begin());
      if (known == paths.end()) paths.push_back(layer.places[i].path);
    }
  }
  DW_TRY(reader_, DirectReader::open(std::move(paths), ring));
  const auto size = static_cast<std::size_t>(slots * slot_bytes());
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();  // loading a model ends with an error
  memory_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory), Unmap{size});
  slots_.resize(static_cast<std::size_t>(slots));
  return Done{};
}

bool ExpertStore::has(int layer, std::int32_t expert) const {
  const int slot = layers_[static_cast<std::size_t>(layer)].experts[static_cast<std::size_t>(expert)].slot;
  return slot >= 0 && slots_[static_cast<std::size_t>(slot)].ready;
}

void ExpertStore::begin(int layer, std::span<const std::int32_t> experts) {
  use_ *= kGrowth;
  if (use_ > kRescale) {
    for (Layer& each : layers_)
      for (Expert& expert : each.experts) expert.score /= kRescale;
    use_ /= kRescale;
  }
  for (const std::int32_t id : experts) {
    Expert& expert = at(layer, id);
    expert.score += use_;
    if (expert.slot >= 0) {
      slots_[static_cast<std::size_t>(expert.slot)].kept = true;
      ++stats_.hits;
    } else {
      wanted_.emplace_back(layer, id);
      ++stats_.misses;
    }
  }
  read_ahead();
}

/// A free slot, or that of the expert used least; -1: all are kept.
int ExpertStore::slot_for_one_more() {
  int best = -1;
  double least = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.kept) continue;
    if (slot.layer < 0) return static_cast<int>(i);
    const double score = at(slot.layer, slot.expert).score;
    if (best < 0 || score < least) {
      best = static_cast<int>(i);
      least = score;
    }
  }
  if (best >= 0) let_go(slots_[static_cast<std::size_t>(best)]);
  return best;
}

void ExpertStore::let_go(Slot& slot) {
  Layer& layer = layers_[static_cast<std::size_t>(slot.layer)];
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t bytes = layer.mapped[i].size() / layer.experts.size();
    layer.matrices[i]->lend(slot.expert,
                            layer.mapped[i].data() + static_cast<std::size_t>(slot.expert) * bytes);
  }
  at(slot.layer, slot.expert).slot = -1;
  slot.layer = -1;
  slot.kept = slot.ready = false;
}

void ExpertStore::read_ahead() {
  while (!wanted_.empty()) {
    const int place = slot_for_one_more();
    if (place < 0) return;
    const auto [layer_index, id] = wanted_.front();
    wanted_.pop_front();
    const Layer& layer = layers_[static_cast<std::size_t>(layer_index)];
    Slot& slot = slots_[static_cast<std::size_t>(place)];
    slot.layer = layer_index;
    slot.expert = id;
    slot.kept = true;
    at(layer_index, id).slot = place;
    std::byte* buffer = memory_.get() + place * slot_bytes();
    for (std::size_t i = 0; i < 3; ++i) {
      const auto bytes = static_cast<std::int64_t>(layer.mapped[i].size() / layer.experts.size());
      slot.reads[i] = {layer.files[i], layer.places[i].offset + id * bytes, bytes, buffer, 0, {}};
      buffer += DirectReader::room(bytes);
      stats_.bytes_read += bytes;
      reader_->start(slot.reads[i]);
    }
  }
}

bool ExpertStore::wait(int layer, std::int32_t expert) {
  read_ahead();
  const int place = at(layer, expert).slot;
  DW_CHECK(place >= 0);  // those before it are done, so that there was room
  Slot& slot = slots_[static_cast<std::size_t>(place)];
  bool ok = true;
  for (DirectReader::Read& read : slot.reads) {
    const Status status = reader_->wait(read);
    if (status.ok()) continue;
    if (failure_.empty()) failure_ = status.error().message;
    ok = false;
  }
  if (!ok) {
    let_go(slot);
    return false;
  }
  slot.ready = true;
  for (std::size_t i = 0; i < 3; ++i)
    layers_[static_cast<std::size_t>(layer)].matrices[i]->lend(expert, slot.reads[i].data());
  return true;
}

void ExpertStore::done(int layer, std::int32_t expert) {
  const int place = at(layer, expert).slot;
  if (place >= 0) slots_[static_cast<std::size_t>(place)].kept = false;
}

Status ExpertStore::take_failure() {
  if (failure_.empty()) return Done{};
  return Error{ErrorCode::kIo, std::exchange(failure_, {})};
}

}  // namespace deepwell
