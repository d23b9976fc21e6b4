// SPDX-License-Identifier: Apache-2.0
// What connections share with their server; private to net/http (it drags in Asio).
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "net/http/server.h"
#include "net/http/tls.h"

namespace deepwell::http {

class Connection;

/// Outlives the server as long as an exchange does, because exchanges may be held by other threads.
struct Core {
  explicit Core(ServerOptions given) : options(std::move(given)), io(options.io_threads) {}

  const ServerOptions options;
  boost::asio::io_context io;
  boost::asio::thread_pool* workers = nullptr;  ///< valid while the io threads run
  Handler handler;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> bodies_bytes{0};  ///< promised or received by requests being read

  std::mutex mutex;
  std::unordered_set<Connection*> connections;  ///< each removes itself when it ends
};

/// Serves `socket` until either side is done with it; `tls` nullptr: in the clear.
void serve_connection(std::shared_ptr<Core> core, boost::asio::ip::tcp::socket socket, Tls::Context tls);
/// Answers 503 without reading, for one connection too many. Where TLS is spoken it only closes.
void refuse_connection(const std::shared_ptr<Core>& core, boost::asio::ip::tcp::socket socket);
/// Closes all that are idle; with `force`, all. From any thread.
void close_connections(Core& core, bool force);

}  // namespace deepwell::http
