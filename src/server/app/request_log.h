// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "server/app/endpoint.h"

namespace deepwell {

/// What is written down about one request when it is over.
struct RequestRecord {
  std::chrono::system_clock::time_point arrived;
  std::string id{}, method{}, path{}, route{}, remote{};
  std::string user{}, user_name{};  ///< as Visitor's
  int status = 0;                   ///< 0: the client left before there was one
  std::size_t bytes = 0;            ///< of the answer's body
  double seconds = 0;
  bool audited = false;  ///< it asked for what not everybody may have, or was refused
};

/// "POST /v1/chat/completions 200 0.812 s 127.0.0.1 ann default prompt 12 (8 cached) answer 40 stop", without
/// line end; words that do not apply are left out.
std::string text_line(const RequestRecord& record, LogFields& fields);
/// The same as one JSON object.
std::string json_line(const RequestRecord& record, LogFields& fields);
/// For the audit log: who did what, when, and what it came to; the text only where `fields` kept it.
std::string audit_line(const RequestRecord& record, LogFields& fields);

}  // namespace deepwell
