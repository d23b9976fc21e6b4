// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/access/audit_log.h"
#include "server/app/metrics.h"
#include "server/app/response_store.h"
#include "server/model/served_model.h"
#include "server/request/api_error.h"

namespace deepwell {

class Batches;
class ChatStore;
class FileStore;

enum class Phase { kLoading, kReady, kDraining };

/// What every endpoint works with: the models, the phase the server is in, its metrics. Thread-safe.
class Service {
 public:
  Service();
  /// Waits until nothing uses a model any more.
  ~Service();

  void add_model(std::shared_ptr<ServedModel> model, const std::vector<std::string>& aliases = {});
  void set_phase(Phase phase) { phase_ = phase; }
  Phase phase() const { return phase_; }

  std::vector<ServedModel*> models() const;  ///< as added, without aliases
  std::vector<std::string> names() const;    ///< ids and aliases that clients may use
  /// "" is the first model. Errors: 404 model_not_found, 503 while loading or draining.
  ApiResult<ServedModel*> model_for_work(std::string_view name) const;
  ServedModel* find(std::string_view name) const;

  /// Answers under way. A model stays alive as long as one is.
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
  /// Ends all answers under way, with an error each.
  void give_up_all();

  /// For how long an engine has not come by although it has work, when that is longer than any step; else 0.
  double stalled_seconds() const;

  /// Whether cached prefixes are shared between API keys. Set before the first request.
  void share_prefixes(bool shared) { shared_prefixes_ = shared; }
  bool shares_prefixes() const { return shared_prefixes_; }

  Metrics metrics;
  ResponseStore responses;
  std::unique_ptr<AuditLog> audit;   ///< nullptr: none is kept. Set before the first request, as the next
  bool audit_text = false;           ///< also what is asked and answered
  std::unique_ptr<FileStore> files;  ///< nullptr: nothing is kept on disk
  std::unique_ptr<Batches> batches;  ///< the same
  std::unique_ptr<ChatStore> chats;  ///< the same
  /// Keeps files, batches and chats in `folder`. Errors: kIo, kCorrupt.
  Status keep_in(const std::string& folder);

 private:
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  int busy_ = 0;
  std::map<const Busy*, std::function<void()>> give_up_;
  bool shared_prefixes_ = false;
  std::atomic<Phase> phase_{Phase::kLoading};
  std::vector<std::shared_ptr<ServedModel>> models_;
  std::map<std::string, ServedModel*, std::less<>> by_name_;
};

}  // namespace deepwell
