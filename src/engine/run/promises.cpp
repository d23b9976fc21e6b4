// SPDX-License-Identifier: Apache-2.0
#include "engine/run/promises.h"

#include <string_view>

namespace deepwell {
namespace {
constexpr std::size_t kMost = 65536;
}  // namespace

std::uint64_t Promises::hash_of(const EngineRequest& request) {
  const std::string_view prompt(reinterpret_cast<const char*>(request.prompt.data()),
                                request.prompt.size() * sizeof(std::int32_t));
  const std::hash<std::string_view> hash;
  return hash(prompt) * 31 + hash(request.account);
}

void Promises::forget_old(Clock::time_point now) {
  while (!ends_.empty() && ends_.begin()->first < now) {
    const auto at = promises_.find(ends_.begin()->second);
    if (at != promises_.end() && at->second.over == ends_.begin()->first) promises_.erase(at);
    ends_.erase(ends_.begin());
  }
}

std::int64_t Promises::outstanding(Clock::time_point now) {
  forget_old(now);
  return static_cast<std::int64_t>(promises_.size());
}

// A place is kept for a while after its time: clients round, networks dawdle.
void Promises::make(std::uint64_t request, Clock::time_point due, Clock::time_point now) {
  if (promises_.size() >= kMost) return;
  const auto over = due + std::chrono::seconds(5) + (due - now) / 4;
  promises_[request] = {due, over};
  ends_.emplace(over, request);
}

std::optional<Clock::time_point> Promises::due(std::uint64_t request) const {
  const auto at = promises_.find(request);
  if (at == promises_.end()) return std::nullopt;
  return at->second.due;
}

void Promises::keep(std::uint64_t request) { promises_.erase(request); }

}  // namespace deepwell
