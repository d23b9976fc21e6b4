// SPDX-License-Identifier: Apache-2.0
// A connection's bytes, in the clear or through TLS; private to net/http.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>

#include "net/http/tls.h"

namespace deepwell::http {

class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  /// `tls` nullptr: in the clear.
  Transport(Socket socket, Tls::Context tls) : socket_(std::move(socket)), context_(std::move(tls)) {
    if (context_) tls_.emplace(socket_, *context_);
  }
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  Socket& socket() { return socket_; }
  auto executor() { return socket_.get_executor(); }
  bool is_tls() const { return tls_.has_value(); }

  template <class Token>
  auto async_handshake(Token&& token) {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Token>(token));
  }
  template <class Buffer, class Token>
  auto async_read_some(const Buffer& buffer, Token&& token) {
    return tls_ ? tls_->async_read_some(buffer, std::forward<Token>(token))
                : socket_.async_read_some(buffer, std::forward<Token>(token));
  }
  template <class Buffer, class Token>
  auto async_write_some(const Buffer& buffer, Token&& token) {
    return tls_ ? tls_->async_write_some(buffer, std::forward<Token>(token))
                : socket_.async_write_some(buffer, std::forward<Token>(token));
  }
  /// Nothing more will be written; `done` is called when the other side knows, and may never be.
  template <class Handler>
  void finish_writing(Handler done) {
    if (tls_) {
      tls_->async_shutdown([done = std::move(done)](boost::system::error_code) { done(); });
      return;
    }
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  void close() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

 private:
  Socket socket_;
  Tls::Context context_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

/// Whether a handshake failed because the client spoke plain HTTP.
bool is_plain_http(const boost::system::error_code& error);
/// A peer that lost its power or its network says no goodbye: it is gone when for a minute nothing it should
/// have confirmed was, or when it has not answered three times to the question whether it is there.
void notice_silent_ends(int socket);

}  // namespace deepwell::http
