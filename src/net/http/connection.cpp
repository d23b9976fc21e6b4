// SPDX-License-Identifier: Apache-2.0
// One TCP connection: requests in, answers out, in order. A coroutine on the connection's strand does all of
// it; exchanges (which any thread may hold) talk to it by posting to the strand and waking it.
//
// One read is always on its way, also while an answer is computed: that is how a client that leaves is seen,
// and pipelined requests simply wait in input_. Coroutines are kept to named awaits of plain values: GCC 12
// miscompiles temporaries and conditions that span a suspension.
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "net/http/core.h"
#include "net/http/live_exchange.h"
#include "net/http/request_reader.h"
#include "net/http/transport.h"
#include "net/http/wire.h"

namespace deepwell::http {
namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kReadAheadBytes = 64 * 1024;  // of pipelined requests while one is answered
constexpr std::size_t kLingerBytes = 64U << 20;     // of a refused body, read only to be thrown away
}  // namespace

class Connection final : public AnswerLine, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, asio::ip::tcp::socket socket, Tls::Context tls)
      : core_(std::move(core)),
        transport_(std::move(socket), std::move(tls)),
        wake_(transport_.executor()),
        watchdog_(transport_.executor()),
        incoming_(std::make_unique<char[]>(kReadBytes)) {
    error_code ignored;
    transport_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    notice_silent_ends(transport_.socket().native_handle());
    const auto peer = transport_.socket().remote_endpoint(ignored);
    if (!ignored) remote_ = peer.address().to_string();
    wake_.expires_at(Clock::time_point::max());
    const std::lock_guard lock(core_->mutex);
    core_->connections.insert(this);
  }
  ~Connection() override {
    release_body_budget();
    const std::lock_guard lock(core_->mutex);
    core_->connections.erase(this);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  asio::awaitable<void> run();
  /// Closes it if nothing is being answered, or in any case. From any thread.
  void post_close(bool force);
  void close();  ///< on its strand

  void append(std::string bytes, std::shared_ptr<ExchangeState> of, bool last, bool streaming) override;
  const ServerOptions& options() const override { return core_->options; }
  bool stopping() const override { return core_->stopping.load(); }

 private:
  asio::awaitable<bool> shake_hands();
  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> read_request();
  asio::awaitable<bool> answer();
  asio::awaitable<bool> flush();
  asio::awaitable<void> linger();
  asio::awaitable<void> wait();

  template <class Work>
  void within_memory(Work work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      close();
    }
  }
  bool stays_silent();
  std::string keep_alive(bool chunked);
  void start_read();
  void set_deadline(Clock::time_point when);
  void arm_watchdog();
  void refuse(const Response& response);
  void refuse(int status, std::string message) {
    refuse(error_response(options(), status, std::move(message)));
  }
  bool take_body_budget();
  void release_body_budget();
  Request take_request();

  std::shared_ptr<Core> core_;  // first: the io_context must outlive the socket
  Transport transport_;
  asio::steady_timer wake_, watchdog_;
  std::unique_ptr<char[]> incoming_;
  std::string remote_;
  std::string input_, output_, writing_;
  std::optional<RequestReader> reader_;
  std::shared_ptr<ExchangeState> state_;
  std::uint64_t body_budget_ = 0;
  Clock::time_point deadline_ = Clock::time_point::max(), armed_ = Clock::time_point::max();
  Clock::time_point quiet_since_{};
  bool reading_ = false, end_of_input_ = false, timed_out_ = false, closed_ = false;
  bool answered_ = false, streaming_ = false, mid_write_ = false;
};

// Posts hold the connection weakly: after the server has stopped nobody runs them, and the connection (whose
// coroutine keeps it while it lives) must not be kept by its own queue.
void Connection::append(std::string bytes, std::shared_ptr<ExchangeState> of, bool last, bool streaming) {
  of->unsent += bytes.size();
  asio::post(transport_.executor(),
             [weak = weak_from_this(), bytes = std::move(bytes), of = std::move(of), last, streaming]() {
               const auto self = weak.lock();
               if (!self || of != self->state_ || self->answered_) return;
               self->within_memory([&] { self->output_ += bytes; });
               self->streaming_ = streaming;
               self->answered_ = last;
               if (streaming && of->unsent.load() > self->options().unsent_bytes_max) self->close();
               self->wake_.cancel();
             });
}

asio::awaitable<void> Connection::wait() {
  error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await wake_.async_wait(token);
}

void Connection::start_read() {
  if (reading_ || end_of_input_ || closed_ || input_.size() >= kReadAheadBytes) return;
  reading_ = true;
  transport_.async_read_some(
      asio::buffer(incoming_.get(), kReadBytes),
      [self = shared_from_this()](error_code error, std::size_t size) {
        self->reading_ = false;
        if (error) {
          self->end_of_input_ = true;
          if (self->state_) self->state_->leave();
        } else {
          self->within_memory([&] { self->input_.append(self->incoming_.get(), size); });
        }
        self->wake_.cancel();
      });
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  transport_.close();
  watchdog_.cancel();
  wake_.cancel();
  if (state_) state_->leave();
}

// One timer for every limit on time: it is only moved when a limit comes nearer, so that setting a new one
// for each piece written costs nothing.
void Connection::set_deadline(Clock::time_point when) {
  deadline_ = when;
  if (when < armed_) arm_watchdog();
}

void Connection::arm_watchdog() {
  armed_ = deadline_;
  if (armed_ == Clock::time_point::max()) return;
  watchdog_.expires_at(armed_);
  watchdog_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->closed_) return;
    if (Clock::now() < self->deadline_) {
      self->arm_watchdog();
      return;
    }
    self->armed_ = Clock::time_point::max();
    self->timed_out_ = true;
    if (self->mid_write_) self->close();
    self->wake_.cancel();
  });
}

bool Connection::take_body_budget() {
  body_budget_ = reader_->body_bytes();
  if (body_budget_ == 0) return true;
  return core_->bodies_bytes.fetch_add(body_budget_) + body_budget_ <= options().bodies_bytes_max;
}

void Connection::release_body_budget() {
  core_->bodies_bytes -= body_budget_;
  body_budget_ = 0;
}

void Connection::refuse(const Response& response) {
  output_ += head_bytes(response, Framing::kLength, false, cors_headers(options().cors_origins, ""));
  output_ += response.body;
}

asio::awaitable<bool> Connection::read_request() {
  reader_.emplace(options());
  set_deadline(Clock::now() + options().idle_timeout);
  bool started = false, in_body = false;
  while (true) {
    if (!started) input_.erase(0, std::min(input_.find_first_not_of("\r\n"), input_.size()));
    if (!input_.empty()) {
      if (!started) set_deadline(Clock::now() + options().header_timeout);
      started = true;
      const error_code error = reader_->feed(input_);
      if (error) {
        refuse(reader_->refusal(error));
        co_return false;
      }
      if (reader_->has_headers() && !in_body) {
        in_body = true;
        if (const auto refusal = reader_->refusal_of_headers()) {
          refuse(*refusal);
          co_return false;
        }
        reader_->read_body();
        set_deadline(Clock::now() + options().body_timeout);
        if (!take_body_budget()) {
          refuse(503, "too many large requests are being read; try again in a moment");
          co_return false;
        }
        if (!reader_->is_whole() && !input_.empty()) continue;
        if (!reader_->is_whole() && reader_->waits_to_continue()) {
          output_ += "HTTP/1.1 100 Continue\r\n\r\n";
          const bool written = co_await flush();
          if (!written) co_return false;
        }
      }
      if (reader_->is_whole()) {
        set_deadline(Clock::time_point::max());
        co_return true;
      }
    }
    if (closed_ || (end_of_input_ && !reading_)) {
      co_return false;  // an unfinished request needs no answer: nobody is there
    }
    if (timed_out_) {
      if (started) refuse(408, "the request did not arrive in time");
      co_return false;
    }
    if (!started && stopping()) co_return false;
    start_read();
    co_await wait();
  }
}

Request Connection::take_request() {
  RequestReader::Whole whole = reader_->take();
  whole.request.remote = remote_;
  state_ = std::make_shared<ExchangeState>();
  state_->origin = std::string(whole.request.header("origin"));
  state_->head_only = whole.request.method == "HEAD";
  state_->keep_alive = whole.keep_alive;
  state_->chunks_allowed = whole.chunks_allowed;
  return std::move(whole.request);
}

// Writes all of output_. False when the client takes no more.
asio::awaitable<bool> Connection::flush() {
  bool ok = true;
  while (ok && !output_.empty() && !closed_) {
    writing_.swap(output_);
    output_.clear();
    std::size_t done = 0;
    while (ok && done < writing_.size()) {
      set_deadline(Clock::now() + options().write_timeout);
      mid_write_ = true;
      error_code error;
      auto token = asio::redirect_error(asio::use_awaitable, error);
      const std::size_t size = co_await transport_.async_write_some(
          asio::buffer(writing_.data() + done, writing_.size() - done), token);
      mid_write_ = false;
      done += size;
      if (state_) state_->unsent -= std::min(size, state_->unsent.load());
      ok = !error && !closed_;
    }
    quiet_since_ = Clock::now();
  }
  set_deadline(Clock::time_point::max());
  co_return ok && !closed_;
}

bool Connection::stays_silent() {
  const std::lock_guard lock(state_->mutex);
  return state_->keep_alive_bytes.empty() && state_->held_head.empty();
}

// What shows that the answer is still on its way; for one that is held, first its head.
std::string Connection::keep_alive(bool chunked) {
  const std::lock_guard lock(state_->mutex);
  if (state_->held_head.empty()) return chunked ? chunk(state_->keep_alive_bytes) : state_->keep_alive_bytes;
  state_->committed = true;
  state_->keep_alive_bytes = "\n";
  return std::exchange(state_->held_head, {}) + chunk(state_->keep_alive_bytes);
}

// From the handler's start to the last byte of its answer.
asio::awaitable<bool> Connection::answer() {
  const bool chunked = state_->chunks_allowed;
  bool writable = true;
  while (true) {
    if (closed_) break;
    if (!output_.empty()) {
      if (writable) writable = co_await flush();
      if (!writable) {
        output_.clear();
        state_->leave();
      }
      continue;
    }
    if (answered_) break;
    start_read();
    if (state_->lost) break;
    const Clock::time_point now = Clock::now();
    Clock::time_point due = quiet_since_ + options().keep_alive_every;
    if (const bool silent = stays_silent(); silent) {
      due = now + options().keep_alive_every;  // nothing may wake it when a part is lost
    } else if (now >= due) {
      output_ += keep_alive(chunked);
      continue;
    }
    wake_.expires_at(due);
    co_await wait();
    wake_.expires_at(Clock::time_point::max());
  }
  const bool complete = answered_ && writable && !closed_;
  if (!complete) state_->leave();
  co_return complete;
}

// A refused client may still be sending: closing now would reset the connection and take the answer with it.
asio::awaitable<void> Connection::linger() {
  transport_.finish_writing([self = shared_from_this()] {
    self->end_of_input_ = true;
    self->wake_.cancel();
  });
  timed_out_ = false;
  set_deadline(Clock::now() + std::chrono::seconds(2));
  std::size_t thrown_away = 0;
  while (!closed_ && !end_of_input_ && !timed_out_ && thrown_away < kLingerBytes) {
    thrown_away += input_.size();
    input_.clear();
    start_read();
    co_await wait();
  }
}

asio::awaitable<bool> Connection::serve_one() {
  timed_out_ = false;
  const bool whole = co_await read_request();
  if (!whole) {
    if (!output_.empty() && !closed_) {
      const bool written = co_await flush();
      if (written) co_await linger();
    }
    co_return false;
  }
  Request request = take_request();
  answered_ = false;
  streaming_ = false;
  timed_out_ = false;
  quiet_since_ = Clock::now();
  if (end_of_input_ && input_.empty()) state_->leave();
  {
    auto exchange = make_live_exchange(shared_from_this(), state_, std::move(request));
    const std::uint64_t body_bytes = std::exchange(body_budget_, 0);
    asio::post(*core_->workers, [core = core_, body_bytes, exchange = std::move(exchange)]() mutable {
      // The last line of defence: whatever a handler throws (no memory, say) becomes a 500.
      try {
        core->handler(exchange);
      } catch (const std::exception& problem) {
        try {
          exchange->reply(core->options.error_page ? core->options.error_page(500, problem.what())
                                                   : Response{.status = 500, .body = "internal error\n"});
        } catch (const std::bad_alloc&) {  // not even for that: letting go of the exchange says a little
        }
      }
      exchange.reset();
      core->bodies_bytes -= body_bytes;  // the handler has read the body, or given it up
    });
  }
  const bool complete = co_await answer();
  const bool keep = complete && state_->keep_alive && !stopping() && (state_->chunks_allowed || !streaming_);
  state_->complete();
  state_.reset();
  co_return keep && !closed_;
}

// Over when the client is slower than it may be with its headers.
asio::awaitable<bool> Connection::shake_hands() {
  set_deadline(Clock::now() + options().header_timeout);
  mid_write_ = true;  // nothing else would notice that it is late
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await transport_.async_handshake(token);
  mid_write_ = false;
  set_deadline(Clock::time_point::max());
  if (is_plain_http(error) && !closed_) {
    refuse(400, "this port speaks TLS: use https://");
    error_code ignored;
    transport_.socket().non_blocking(true, ignored);
    transport_.socket().write_some(asio::buffer(output_), ignored);
    output_.clear();
  }
  co_return !error && !closed_;
}

asio::awaitable<void> Connection::run() {
  bool more = true;
  if (transport_.is_tls()) more = co_await shake_hands();
  const bool shaken = more;
  while (more) {
    more = co_await serve_one();
  }
  // TLS tells that an answer is whole, and not cut off by somebody on the way.
  if (transport_.is_tls() && shaken && !closed_ && !end_of_input_) co_await linger();
  close();
}

void Connection::post_close(bool force) {
  asio::post(transport_.executor(), [weak = weak_from_this(), force] {
    const auto self = weak.lock();
    if (!self) return;
    if (force || (!self->state_ && self->output_.empty() && !self->mid_write_)) self->close();
  });
}

void serve_connection(std::shared_ptr<Core> core, asio::ip::tcp::socket socket, Tls::Context tls) {
  const auto executor = socket.get_executor();
  auto connection = std::make_shared<Connection>(std::move(core), std::move(socket), std::move(tls));
  asio::co_spawn(
      executor, [connection]() -> asio::awaitable<void> { return connection->run(); },
      [connection](const std::exception_ptr&) { connection->close(); });  // also where memory ended
}

void refuse_connection(const std::shared_ptr<Core>& core, asio::ip::tcp::socket socket) {
  if (!core->options.tls_certificate.empty()) return;
  const Response response = error_response(core->options, 503, "too many connections; try again in a moment");
  const std::string bytes = head_bytes(response, Framing::kLength, false, {}) + response.body;
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(bytes), ignored);  // fits the empty send buffer of a new connection
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void close_connections(Core& core, bool force) {
  std::vector<std::shared_ptr<Connection>> all;
  {
    const std::lock_guard lock(core.mutex);
    for (Connection* connection : core.connections) {
      if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
    }
  }
  for (auto& connection : all) connection->post_close(force);
}

}  // namespace deepwell::http
