// SPDX-License-Identifier: Apache-2.0
// A client that sends exactly the bytes it is given and reads what comes: for tests of what well-behaved
// clients never send.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "support/eventually.h"

namespace deepwell::testing_http {

using testing_support::kPatience;

struct Reply {
  int status = 0;
  std::string head;  ///< status line and headers
  std::string body;  ///< de-chunked
  bool complete = false;

  /// The header's value, or "". `name` in the case the server writes.
  std::string header(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const auto start = at + name.size() + 4;
    return head.substr(start, head.find("\r\n", start) - start);
  }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// Reads once into input; false when the peer closed or nothing came in time.
  bool receive(std::chrono::milliseconds patience = kPatience) {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
    char buffer[16384];
    const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
    if (n <= 0) {
      closed_ = true;
      return false;
    }
    input.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  bool receive_until(std::string_view text, std::chrono::milliseconds patience = kPatience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (input.find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end || !receive(patience)) return false;
    }
    return true;
  }
  /// True when the server closed the connection within the time; what came before it is in input.
  bool receive_until_closed(std::chrono::milliseconds patience = kPatience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end && receive(patience)) {
    }
    return closed_;
  }

  /// The next whole answer, taken out of input. `head_only` for answers to HEAD.
  Reply read_reply(bool head_only = false, std::chrono::milliseconds patience = kPatience) {
    Reply reply;
    if (!receive_until("\r\n\r\n", patience)) return reply;
    const auto end = input.find("\r\n\r\n");
    reply.head = input.substr(0, end + 2);
    input.erase(0, end + 4);
    if (reply.head.size() > 12) reply.status = std::atoi(reply.head.c_str() + 9);
    if (head_only || reply.status == 204 || reply.status == 304 || reply.status == 100) {
      reply.complete = true;
    } else if (reply.header("Transfer-Encoding") == "chunked") {
      read_chunks(reply, patience);
    } else {
      const std::string length = reply.header("Content-Length");
      const std::size_t wanted = length.empty() ? std::string::npos : std::stoul(length);
      while (input.size() < wanted && receive(patience)) {
      }
      reply.complete = input.size() >= wanted || (length.empty() && closed_);
      reply.body = input.substr(0, wanted);
      input.erase(0, reply.body.size());
    }
    return reply;
  }

  Reply get(const std::string& path) {
    send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return read_reply();
  }
  bool send_post(const std::string& path, const std::string& body, const std::string& more_headers = "") {
    return send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
                more_headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  Reply post(const std::string& path, const std::string& body, const std::string& more_headers = "") {
    send_post(path, body, more_headers);
    return read_reply();
  }

  std::string input;

 private:
  void read_chunks(Reply& reply, std::chrono::milliseconds patience) {
    while (true) {
      if (!receive_until("\r\n", patience)) return;
      const auto line = input.find("\r\n");
      const std::size_t size = std::stoul(input.substr(0, line), nullptr, 16);
      while (input.size() < line + 2 + size + 2) {
        if (!receive(patience)) return;
      }
      reply.body += input.substr(line + 2, size);
      input.erase(0, line + 2 + size + 2);
      if (size == 0) {
        reply.complete = true;
        return;
      }
    }
  }

  int socket_;
  bool connected_ = false, closed_ = false;
};

}  // namespace deepwell::testing_http
