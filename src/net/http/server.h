// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http/exchange.h"

namespace deepwell::http {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< an address or a name
  std::uint16_t port = 0;          ///< 0: any free one
  int io_threads = 2;              ///< bytes in and out; no thread a connection
  int handler_threads = 2;         ///< run the handler, so that a heavy one stalls no stream
  std::uint32_t header_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 32ULL << 20;
  std::uint64_t bodies_bytes_max = 512ULL << 20;  ///< of all requests not yet handled; beyond it 503
  std::size_t connections_max = 4096;             ///< beyond it 503 and the door closes
  std::size_t unsent_bytes_max = 4U << 20;        ///< of one slow reader; beyond it the connection is dropped
  std::chrono::milliseconds idle_timeout{75'000};      ///< between requests
  std::chrono::milliseconds header_timeout{10'000};    ///< first byte to end of headers
  std::chrono::milliseconds body_timeout{60'000};      ///< the whole body
  std::chrono::milliseconds write_timeout{30'000};     ///< without the client taking a byte
  std::chrono::milliseconds keep_alive_every{15'000};  ///< comment on a silent stream
  std::string tls_certificate, tls_key;   ///< PEM files, taken over when they change; "": plain HTTP
  std::vector<std::string> cors_origins;  ///< web pages of these origins may read answers; "*": all
  /// What to answer when HTTP itself is wrong (400, 408, 413, 431, 500, 503); empty: plain text.
  std::function<Response(int status, std::string message)> error_page;
  std::function<void(const std::string& line)> report;  ///< what the operator should know; empty: nothing
};

/// An HTTP/1.1 server, also over TLS: keep-alive, pipelining (answers in order), chunked streams.
class Server {
 public:
  /// Binds and serves until stopped. Errors: kIo with the address and the reason; kIo and kInvalid for TLS'
  /// files.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler);
  ~Server();  ///< stop(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  std::size_t connections() const;
  /// Accepts no more, closes idle connections, lets running exchanges end within `grace`, then cuts them.
  /// Not from a handler.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace deepwell::http
