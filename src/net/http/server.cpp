// SPDX-License-Identifier: Apache-2.0
#include "net/http/server.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <thread>

#include "net/http/core.h"

namespace deepwell::http {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Server::Impl {
  Impl(ServerOptions options, Handler handler)
      : workers(static_cast<std::size_t>(options.handler_threads)),
        core(std::make_shared<Core>(std::move(options))),
        acceptor(core->io),
        work(asio::make_work_guard(core->io)) {
    core->workers = &workers;
    core->handler = std::move(handler);
  }

  Status listen();
  asio::awaitable<void> accept();
  void take(tcp::socket socket);

  asio::thread_pool workers;
  std::shared_ptr<Core> core;
  tcp::acceptor acceptor;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::unique_ptr<Tls> tls;  ///< nullptr: plain HTTP
  std::vector<std::thread> threads;
  std::uint16_t bound_port = 0;
};

Status Server::Impl::listen() {
  const ServerOptions& options = core->options;
  const auto failed = [&options](const error_code& error) {
    const bool taken = error == asio::error::address_in_use;
    return Error{ErrorCode::kIo,
                 fmt::format("cannot listen on {}:{}: {}; {}", options.host, options.port, error.message(),
                             taken ? "stop the other program or choose another --port"
                                   : "give an address of this machine as --host")};
  };
  error_code error;
  tcp::resolver resolver(core->io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error) return failed(error);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed(error);
  const tcp::endpoint bound = acceptor.local_endpoint(error);
  if (error) return failed(error);
  bound_port = bound.port();
  return Done{};
}

asio::awaitable<void> Server::Impl::accept() {
  asio::steady_timer pause(core->io);
  while (true) {
    tcp::socket socket(asio::make_strand(core->io));
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await acceptor.async_accept(socket, token);
    if (core->stopping.load() || !acceptor.is_open()) co_return;
    if (error) {
      // Out of descriptors, most likely: connections that end will free some.
      pause.expires_after(std::chrono::milliseconds(50));
      auto rest = asio::redirect_error(asio::use_awaitable, error);
      co_await pause.async_wait(rest);
      continue;
    }
    take(std::move(socket));
  }
}

void Server::Impl::take(tcp::socket socket) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(core->mutex);
    count = core->connections.size();
  }
  // Without memory for it the connection closes; the next one may find some.
  try {
    if (count >= core->options.connections_max) {
      refuse_connection(core, std::move(socket));
    } else {
      serve_connection(core, std::move(socket), tls ? tls->now() : nullptr);
    }
  } catch (const std::bad_alloc&) {
  }
}

/// Does the io threads' work. What a handler could not do for want of memory fails alone.
void run_io(Core& core) {
  while (true) {
    try {
      core.io.run();
      return;
    } catch (const std::bad_alloc&) {
    }
  }
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  const ServerOptions& given = impl->core->options;
  if (!given.tls_certificate.empty()) {
    DW_TRY(impl->tls, Tls::open(given.tls_certificate, given.tls_key, given.report));
  }
  DW_RETURN_IF_ERROR(impl->listen());
  asio::co_spawn(
      impl->core->io, [raw = impl.get()]() -> asio::awaitable<void> { return raw->accept(); },
      asio::detached);
  for (int i = 0; i < impl->core->options.io_threads; ++i) {
    impl->threads.emplace_back([core = impl->core] { run_io(*core); });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(std::chrono::milliseconds(0)); }

std::uint16_t Server::port() const { return impl_->bound_port; }

std::size_t Server::connections() const {
  const std::lock_guard lock(impl_->core->mutex);
  return impl_->core->connections.size();
}

void Server::stop(std::chrono::milliseconds grace) {
  if (impl_->threads.empty()) return;
  Core& core = *impl_->core;
  core.stopping = true;
  asio::post(core.io, [impl = impl_.get()] {
    error_code ignored;
    impl->acceptor.close(ignored);
  });
  const auto deadline = std::chrono::steady_clock::now() + grace;
  close_connections(core, false);
  while (connections() > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    close_connections(core, false);  // some became idle meanwhile
  }
  close_connections(core, true);
  impl_->work.reset();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
  impl_->workers.join();
}

}  // namespace deepwell::http
