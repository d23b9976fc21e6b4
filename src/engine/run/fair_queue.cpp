// SPDX-License-Identifier: Apache-2.0
#include "engine/run/fair_queue.h"

#include <algorithm>
#include <limits>

namespace deepwell {
namespace {
/// A second of waiting weighs as much as so many tokens of length: what is 1000 tokens longer than another
/// may be passed by it for ten seconds.
constexpr double kTokensPerSecondWaited = 100;
/// Answers are mostly shorter than what they may be.
constexpr std::int64_t kLongAnswer = 512;
}  // namespace

bool FairQueue::Sooner::operator()(const Sequence* a, const Sequence* b) const {
  const auto key = [](const Sequence* s) {
    return std::tuple(s->request.priority, !s->has_started(), s->rank, s->id);
  };
  return key(a) < key(b);
}

// An account that comes back gets no credit for the time when it wanted nothing.
FairQueue::Account& FairQueue::wake(const std::string& name) {
  Account& account = accounts_[name];
  if (account.active()) return account;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [other, state] : accounts_)
    if (state.active()) least = std::min(least, state.served);
  if (least < std::numeric_limits<double>::infinity()) account.served = std::max(account.served, least);
  return account;
}

void FairQueue::add(Sequence* sequence) {
  if (!sequence->has_started()) {
    const auto work =
        static_cast<double>(sequence->prompt_tokens + std::min(sequence->request.max_tokens, kLongAnswer));
    sequence->rank = std::chrono::duration<double>(sequence->submitted.time_since_epoch()).count() *
                         kTokensPerSecondWaited +
                     work;
  }
  wake(sequence->request.account).waiting.insert(sequence);
  ++waiting_;
}

void FairQueue::remove(Sequence* sequence) {
  Account& account = accounts_.at(sequence->request.account);
  if (account.waiting.erase(sequence) == 0) return;
  --waiting_;
  if (!account.active()) forget_idle();
}

void FairQueue::start(Sequence* sequence) {
  Account& account = accounts_.at(sequence->request.account);
  waiting_ -= static_cast<int>(account.waiting.erase(sequence));
  ++account.running;
}

void FairQueue::stop(Sequence* sequence) {
  Account& account = accounts_.at(sequence->request.account);
  --account.running;
  if (!account.active()) forget_idle();
}

// What an idle account owes is kept until the others have caught up with it: else leaving for a moment would
// clear it.
void FairQueue::forget_idle() {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, account] : accounts_)
    if (account.active()) least = std::min(least, account.served);
  std::erase_if(accounts_,
                [&](const auto& entry) { return !entry.second.active() && entry.second.served <= least; });
}

void FairQueue::serve(const std::string& name, std::int64_t tokens) {
  if (const auto at = accounts_.find(name); at != accounts_.end())
    at->second.served += static_cast<double>(tokens);
}

double FairQueue::served(const std::string& name) const {
  const auto at = accounts_.find(name);
  return at == accounts_.end() ? 0 : at->second.served;
}

int FairQueue::running(const std::string& name) const {
  const auto at = accounts_.find(name);
  return at == accounts_.end() ? 0 : at->second.running;
}

Sequence* FairQueue::best() const {
  Sequence* best = nullptr;
  Claim best_claim{};
  for (const auto& [name, account] : accounts_) {
    if (account.waiting.empty()) continue;
    Sequence* const first = *account.waiting.begin();
    const Claim claim{first->request.priority, account.running, account.served};
    if (best != nullptr && !(claim < best_claim)) continue;
    best = first;
    best_claim = claim;
  }
  return best;
}

bool FairQueue::may_displace(const Sequence& waiting, const Sequence& running) const {
  if (waiting.request.priority != running.request.priority)
    return waiting.request.priority < running.request.priority;
  if (waiting.request.account == running.request.account) return false;
  return accounts_.at(running.request.account).running > accounts_.at(waiting.request.account).running + 1;
}

bool FairQueue::is_owed(const Sequence& waiting) const {
  const Account& own = accounts_.at(waiting.request.account);
  return own.running == 0 && std::all_of(accounts_.begin(), accounts_.end(), [&](const auto& entry) {
           return entry.second.running == 0 || own.served <= entry.second.served;
         });
}

void FairQueue::play(const std::function<std::optional<std::string>()>& place_freed,
                     const std::function<void(Sequence*)>& starts) const {
  struct Player {
    Line::const_iterator next, end;
    int running;
    double served;
  };
  std::map<std::string_view, Player> players;
  for (const auto& [name, account] : accounts_)
    players[name] = {account.waiting.begin(), account.waiting.end(), account.running, account.served};
  for (int left = waiting_; left > 0; --left) {
    if (const std::optional<std::string> freed = place_freed(); freed)
      if (const auto at = players.find(*freed); at != players.end()) --at->second.running;
    Player* best = nullptr;
    Claim best_claim{};
    for (auto& [name, player] : players) {
      if (player.next == player.end) continue;
      const Claim claim{(*player.next)->request.priority, player.running, player.served};
      if (best != nullptr && !(claim < best_claim)) continue;
      best = &player;
      best_claim = claim;
    }
    Sequence* const started = *best->next++;
    ++best->running;
    best->served += static_cast<double>(started->prompt_tokens);
    starts(started);
  }
}

}  // namespace deepwell
