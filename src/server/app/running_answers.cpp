// SPDX-License-Identifier: Apache-2.0
#include "server/app/running_answers.h"

namespace deepwell {

void RunningAnswers::add(const std::string& id, const std::string& user,
                         std::weak_ptr<RunningAnswer> answer) {
  const std::lock_guard lock(mutex_);
  by_id_[id] = {user, std::move(answer)};
}

void RunningAnswers::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  by_id_.erase(id);
}

std::shared_ptr<RunningAnswer> RunningAnswers::find(std::string_view id, const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() || found->second.user != user ? nullptr : found->second.answer.lock();
}

}  // namespace deepwell
