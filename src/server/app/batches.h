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
#include "server/app/file_store.h"
#include "server/app/kept_files.h"

namespace deepwell {

class Service;

/// Batches of requests, answered while nobody else waits. A batch is a file of lines, and so is its result;
/// what has been answered survives a restart. Thread-safe. Source: OpenAI API reference, "Batch".
class Batches {
 public:
  /// Goes on with what was not finished; a batch whose file is damaged is set aside. Errors: kIo.
  static Result<std::unique_ptr<Batches>> open(Service& service, FileStore& files, std::string folder,
                                               const Report& report = {});
  ~Batches();  ///< gives up the line under way; the next start answers it

  /// The batch object. Errors: kNotFound (the file), kInvalid (a line that is no request, with its number).
  Result<nlohmann::json> add(const std::string& user, const std::string& file, const std::string& endpoint,
                             nlohmann::json metadata);
  std::vector<nlohmann::json> list(const std::string& user) const;  ///< the newest first
  Result<nlohmann::json> find(const std::string& user, const std::string& id) const;
  Result<nlohmann::json> cancel(const std::string& user, const std::string& id);

 private:
  struct Line {
    std::string id, body;
  };
  Batches(Service& service, FileStore& files, std::string folder)
      : service_(service), files_(files), folder_(std::move(folder)) {}
  void work();
  void run(const std::string& id);
  /// The priority for the next line, when it may start; nothing: the server ends.
  std::optional<int> wait_for_room();
  bool is_stopping() const;
  nlohmann::json answer_line(const std::string& user, const std::string& endpoint, const Line& line,
                             int priority);
  void finish(const std::string& id, const char* status);
  bool try_finish(const std::string& id, const char* status);
  bool is_cancelling(const std::string& id) const;
  bool append_line(const std::string& id, const std::string& path, const std::string& line);
  bool wait_for_disk(const std::string& id);
  void save(const nlohmann::json& known) const;
  Result<std::vector<Line>> lines_of(const std::string& user, const std::string& file,
                                     const std::string& endpoint) const;

  Service& service_;
  FileStore& files_;
  const std::string folder_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, nlohmann::json> batches_;  ///< by id: {"user", "batch"}
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace deepwell
