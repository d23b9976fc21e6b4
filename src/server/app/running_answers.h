// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace deepwell {

/// An answer under way, as others than the request that asked for it may steer it. From any thread.
class RunningAnswer {
 public:
  virtual ~RunningAnswer() = default;
  virtual void answer_now() = 0;  ///< no more thinking
  virtual void cancel() = 0;
};

/// Answers under way by the id that their clients were told. One user never reaches another's. Thread-safe.
class RunningAnswers {
 public:
  void add(const std::string& id, const std::string& user, std::weak_ptr<RunningAnswer> answer);
  void remove(const std::string& id);
  /// nullptr: there is none (any more), or it is somebody else's.
  std::shared_ptr<RunningAnswer> find(std::string_view id, const std::string& user) const;

 private:
  struct Known {
    std::string user;
    std::weak_ptr<RunningAnswer> answer;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> by_id_;
};

}  // namespace deepwell
