// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/access/audit_log.h"
#include "server/app/metrics.h"
#include "server/app/recent_prompts.h"
#include "server/app/response_store.h"
#include "server/app/running_answers.h"
#include "server/model/model_pool.h"

namespace deepwell {

class Background;
class Batches;
class ChatStore;
class FileStore;
class SpanExporter;

enum class Phase { kLoading, kReady, kDraining };

/// What every endpoint works with: the models, the phase the server is in, its metrics. Thread-safe.
class Service {
 public:
  explicit Service(ModelSource source = {}, ModelPoolOptions options = {});
  /// Waits until nothing uses a model any more.
  ~Service();

  void set_phase(Phase phase) { phase_ = phase; }
  Phase phase() const { return phase_; }

  /// Answers under way.
  class Busy {
   public:
    explicit Busy(Service& service);
    ~Busy();
    /// How to end it early, with an error; from any thread, also while it ends by itself.
    void on_give_up(std::function<void()> give_up);
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    Service& service_;
  };
  int busy() const;
  double uptime_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }
  /// Ends all answers under way, with an error each.
  void give_up_all();

  /// For how long an engine has not come by although it has work, when that is longer than any step; else 0.
  double stalled_seconds() const;

  /// Whether cached prefixes are shared between API keys. Set before the first request.
  void share_prefixes(bool shared) { shared_prefixes_ = shared; }
  bool shares_prefixes() const { return shared_prefixes_; }

  Metrics metrics;
  ModelPool models;
  ResponseStore responses;
  RunningAnswers running;
  RecentPrompts prompts;
  std::unique_ptr<SpanExporter> spans;     ///< nullptr: nobody collects them
  std::unique_ptr<FileStore> files;        ///< nullptr: nothing is kept on disk
  std::unique_ptr<Batches> batches;        ///< the same
  std::unique_ptr<Background> background;  ///< the same
  std::unique_ptr<ChatStore> chats;        ///< the same
  std::unique_ptr<AuditLog> audit;  ///< nullptr: none is kept. Set before the first request, as the next
  bool audit_text = false;          ///< also what is asked and answered
  /// Keeps files, batches, responses and chats in `folder`; `report` hears of what was damaged there. Errors:
  /// kIo, kCorrupt, each with what to do.
  Status keep_in(const std::string& folder, const std::function<void(const std::string&)>& report = {});

 private:
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  int busy_ = 0;
  std::map<const Busy*, std::function<void()>> give_up_;
  bool shared_prefixes_ = false;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<Phase> phase_{Phase::kLoading};
};

}  // namespace deepwell
