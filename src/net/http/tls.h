// SPDX-License-Identifier: Apache-2.0
// A server's certificate; private to net/http (it drags in Asio and OpenSSL).
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/file_watch.h"
#include "base/result.h"

namespace deepwell::http {

/// TLS 1.2 and up with forward secrecy, "http/1.1" where the client lets choose; taken over anew when the
/// files change. Used by one thread at a time.
class Tls {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;
  /// PEM files: the server's certificate and those that lead to its root; its key, not encrypted.
  /// Errors: kIo, kInvalid, with the file and what is wrong with it.
  static Result<std::unique_ptr<Tls>> open(std::string certificate, std::string key,
                                           std::function<void(const std::string&)> report);
  /// The context for a new connection. New files that cannot be used leave it as it was, and are reported.
  Context now();

 private:
  Tls(std::string certificate, std::string key, std::function<void(const std::string&)> report)
      : certificate_(std::move(certificate)),
        key_(std::move(key)),
        report_(std::move(report)),
        watch_({certificate_, key_}) {}

  const std::string certificate_, key_;
  const std::function<void(const std::string&)> report_;
  FileWatch watch_;
  Context context_;
};

}  // namespace deepwell::http
