// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http/message.h"
#include "server/access/key_ring.h"
#include "server/access/key_usage.h"
#include "server/app/endpoint.h"

namespace deepwell {

/// Names under which a door may be asked for, beside localhost and loopback addresses; nothing: any name. A
/// page whose name is made to point here (DNS rebinding) is no stranger to a browser, but it has the wrong
/// name.
using HostNames = std::optional<std::vector<std::string>>;

/// Who asks, as far as is known.
struct Visitor {
  std::string user, user_name;  ///< the key's id, and its name or the same; "": no key
  std::shared_ptr<KeyLease> lease;
};

/// Decides which requests come in. Thread-safe.
class Gate {
 public:
  /// `keys` none: everybody may do everything.
  Gate(std::optional<ApiKeys> keys, const std::string& keys_path,
       std::function<void(const std::string&)> report);

  /// The refusal, if any. `visitor` is filled as far as it is known.
  std::optional<ApiError> refuse(const http::Request& request, Access access, const HostNames& host_names,
                                 const std::vector<std::string>& cors_origins, Visitor& visitor);

 private:
  std::optional<ApiError> identify(const http::Request& request, Access access, Visitor& visitor);

  std::unique_ptr<KeyRing> keys_;  ///< nullptr: none are wanted
  KeyUsages usages_;
};

/// A refusal for what a key has used up.
ApiError over_limit(const KeyUsage::Refusal& refusal);
ApiError http_error(int status, std::string message);
/// Foreign text as it may stand in a message: nothing that could forge a line or fill a disk.
std::string spoken(std::string_view text);

}  // namespace deepwell
