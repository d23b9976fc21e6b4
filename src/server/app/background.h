// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "server/app/inner_exchange.h"
#include "server/app/kept_files.h"

namespace deepwell {

class Service;

/// Responses that nobody waits for ("background": true). Each is a file from the moment it is taken until its
/// answer is one: what a server did not finish, the next start answers. Thread-safe.
class Background {
 public:
  /// Takes up what the last server left. Errors: kIo.
  static Result<std::unique_ptr<Background>> open(Service& service, std::string folder,
                                                  const Report& report = {});
  ~Background();  ///< gives up what runs; the next start answers it
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Keeps the request and gives `object`, the response as it stands, which has its id. Errors: kOverloaded
  /// (too many wait), kIo (the disk does not take it).
  Status add(const std::string& user, const std::string& body, const nlohmann::json& object);
  /// The response object while it waits or runs, and when it failed or was cancelled.
  std::optional<nlohmann::json> find(const std::string& user, const std::string& id) const;
  /// The object, cancelled unless it is over already; nothing when there is none.
  std::optional<nlohmann::json> cancel(const std::string& user, const std::string& id);
  /// False when there is none.
  bool remove(const std::string& user, const std::string& id);

 private:
  struct Job {
    std::string user, body;
    nlohmann::json object;
    std::weak_ptr<InnerExchange> running;
    bool is_running = false;
  };
  struct Answered {
    std::string id;
    int status;
    std::string body;
  };
  Background(Service& service, std::string folder) : service_(service), folder_(std::move(folder)) {}
  std::string path(const std::string& id) const { return folder_ + "/" + id + ".json"; }
  Status save(const std::string& id, const Job& job) const;
  bool is_over(const Job& job) const;

  // The thread's.
  void work();
  void start(const std::string& id, const std::string& user, const std::string& body);
  void settle(std::unique_lock<std::mutex>& lock, const Answered& answered);
  void give_up_all(std::unique_lock<std::mutex>& lock);

  Service& service_;
  const std::string folder_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Job> jobs_;   // by id
  std::vector<std::string> waiting_;  // in the order in which they came
  std::vector<Answered> answered_;
  int running_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace deepwell
