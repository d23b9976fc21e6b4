// SPDX-License-Identifier: Apache-2.0
#include "server/app/request_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "server/app/answer.h"
#include "server/app/gate.h"

namespace deepwell {

std::string text_line(const RequestRecord& record, LogFields& fields) {
  std::string line = fmt::format("{} {} {} {:.3f} s {}", spoken(record.method), spoken(record.path),
                                 record.status, record.seconds, record.remote);
  if (!record.user_name.empty()) line += " " + record.user_name;
  const std::lock_guard lock(fields.mutex);
  if (fields.model.empty()) return line;
  line += fmt::format(" {} prompt {}", fields.model, fields.prompt_tokens);
  if (fields.cached_tokens > 0) line += fmt::format(" ({} cached)", fields.cached_tokens);
  return line + fmt::format(" answer {} {}", fields.generated_tokens, fields.finish);
}

std::string json_line(const RequestRecord& record, LogFields& fields) {
  nlohmann::json line = {{"time", std::chrono::duration<double>(record.arrived.time_since_epoch()).count()},
                         {"request_id", record.id},
                         {"method", spoken(record.method)},
                         {"path", spoken(record.path)},
                         {"route", record.route},
                         {"status", record.status},
                         {"bytes", record.bytes},
                         {"seconds", record.seconds},
                         {"remote", record.remote}};
  if (!record.user.empty()) {
    line["key_id"] = record.user;
    line["key"] = record.user_name;
  }
  const std::lock_guard lock(fields.mutex);
  if (!fields.model.empty()) {
    line["model"] = fields.model;
    line["prompt_tokens"] = fields.prompt_tokens;
    line["cached_tokens"] = fields.cached_tokens;
    line["generated_tokens"] = fields.generated_tokens;
    line["finish"] = fields.finish;
  }
  return dump(line);
}

std::string audit_line(const RequestRecord& record, LogFields& fields) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(record.arrived);
  const auto or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
  };
  const std::lock_guard lock(fields.mutex);
  nlohmann::json line = {{"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                                              fmt::gmtime(std::chrono::system_clock::to_time_t(ms)),
                                              ms.time_since_epoch().count() % 1000)},
                         {"request_id", record.id},
                         {"key_id", or_null(record.user)},
                         {"key", or_null(record.user_name)},
                         {"remote", record.remote},
                         {"method", spoken(record.method)},
                         {"path", spoken(record.path)},
                         {"model", or_null(fields.model)},
                         {"prompt_tokens", fields.prompt_tokens},
                         {"cached_tokens", fields.cached_tokens},
                         {"generated_tokens", fields.generated_tokens},
                         {"status", record.status},
                         {"ms", std::llround(record.seconds * 1000)}};
  if (fields.keeps_text) {
    line["question"] = fields.question;
    line["answers"] = fields.answers;
  }
  return dump(line);
}

}  // namespace deepwell
