// SPDX-License-Identifier: Apache-2.0
// Goal: over TLS everything is as in the clear; old versions, slow hands and foreign protocols are turned
// away; renewed certificates are taken over. Method: OpenSSL as the client, certificates made on the spot.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "net/http/server.h"
#include "net/http/tls_client.h"

namespace deepwell::http {
namespace {
using namespace std::chrono_literals;
using testing_http::RawClient;
using testing_http::TlsClient;
using testing_http::write_certificate;
using testing_support::eventually;

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "deepwell_tls_" + std::to_string(::getpid()) + "/";
    std::filesystem::create_directories(folder_);
    certificate_ = folder_ + "cert.pem";
    key_ = folder_ + "key.pem";
    write_certificate(certificate_, key_, "first");
  }
  void TearDown() override {
    held_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  ServerOptions options() {
    ServerOptions options;
    options.tls_certificate = certificate_;
    options.tls_key = key_;
    options.report = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      told_ += line + "\n";
    };
    return options;
  }
  Status start(ServerOptions options) {
    DW_TRY(server_, Server::start(std::move(options), [this](std::shared_ptr<Exchange> exchange) {
             if (exchange->request().path == "/stream") {
               exchange->begin_stream({.content_type = "text/event-stream"});
               const std::lock_guard lock(mutex_);
               held_ = exchange;
               return;
             }
             const std::size_t size = exchange->request().body.size();
             exchange->reply({.body = exchange->request().path + " " + std::to_string(size) +
                                      std::string(exchange->request().path == "/big" ? 3U << 20 : 0, 'x')});
           }));
    return Done{};
  }
  std::string told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }

  std::string folder_, certificate_, key_;
  std::unique_ptr<Server> server_;
  std::mutex mutex_;
  std::string told_;
  std::shared_ptr<Exchange> held_;
};

TEST_F(TlsTest, AnswersAsInTheClearAndSaysWhenAllWasSaid) {
  ASSERT_TRUE(start(options()).ok());
  TlsClient client(server_->port(), {.alpn = std::string("\x02h2\x08http/1.1")});
  ASSERT_TRUE(client.shaken());
  EXPECT_EQ(client.protocol(), "http/1.1");
  const std::string body(1U << 20, 'b');
  ASSERT_TRUE(client.send("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n" + body));
  EXPECT_TRUE(client.read_until("/one 1048576"));
  ASSERT_TRUE(client.send("GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  bool clean = false;
  EXPECT_GT(client.read_all(&clean).size(), 3U << 20);
  EXPECT_TRUE(clean);
}

TEST_F(TlsTest, StreamsFlowAndLeaversAreNoticed) {
  ASSERT_TRUE(start(options()).ok());
  {
    TlsClient client(server_->port());
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex_);
      return held_ != nullptr;
    }));
    held_->send(sse_event("one"));
    EXPECT_TRUE(client.read_until("data: one"));
    EXPECT_FALSE(held_->disconnected());
  }
  EXPECT_TRUE(eventually([&] { return held_->disconnected(); }));
}

TEST_F(TlsTest, OldVersionsAndForeignProtocolsAreTurnedAway) {
  ASSERT_TRUE(start(options()).ok());
  EXPECT_FALSE(TlsClient(server_->port(), {.version = TLS1_1_VERSION}).shaken());
  EXPECT_TRUE(TlsClient(server_->port(), {.version = TLS1_2_VERSION}).shaken());
  EXPECT_TRUE(TlsClient(server_->port(), {.version = TLS1_3_VERSION}).shaken());
  EXPECT_FALSE(TlsClient(server_->port(), {.alpn = std::string("\x02h2")}).shaken());
  RawClient plain(server_->port());
  const testing_http::Reply reply = plain.get("/");
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("https://"), std::string::npos);
  RawClient nonsense(server_->port());
  nonsense.send("\x16\x03\x01\xff\xff nonsense");
  nonsense.half_close();
  EXPECT_TRUE(nonsense.receive_until_closed());
  EXPECT_TRUE(TlsClient(server_->port()).shaken());
}

TEST_F(TlsTest, WhoNeverShakesHandsIsShownOut) {
  ServerOptions slow = options();
  slow.header_timeout = 100ms;
  ASSERT_TRUE(start(std::move(slow)).ok());
  RawClient silent(server_->port()), dripping(server_->port());
  for (const char c : std::string("\x16\x03\x01\x02\x00\x01\x00", 7)) {
    if (!dripping.send(std::string_view(&c, 1))) break;
    std::this_thread::sleep_for(30ms);
  }
  EXPECT_TRUE(silent.receive_until_closed());
  EXPECT_TRUE(dripping.receive_until_closed());
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(TlsTest, ARenewedCertificateIsTakenOver) {
  ASSERT_TRUE(start(options()).ok());
  TlsClient old(server_->port());
  EXPECT_EQ(old.subject(), "first");
  write_certificate(certificate_, key_, "second");
  EXPECT_TRUE(eventually([&] { return TlsClient(server_->port()).subject() == "second"; }));
  old.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(old.read_until("/ 0")) << "connections go on with what they have";
  std::ofstream(certificate_) << "half a certif";
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(TlsClient(server_->port()).subject(), "second") << "a broken file takes nobody's server away";
    return told().find("stays as it was") != std::string::npos;
  }));
}

TEST_F(TlsTest, WrongFilesAreNamed) {
  const auto message = [this](const std::string& certificate, const std::string& key) {
    ServerOptions wrong = options();
    wrong.tls_certificate = certificate;
    wrong.tls_key = key;
    const Status started = start(std::move(wrong));
    return started.ok() ? std::string("it started") : started.error().message;
  };
  const std::string other = folder_ + "other.pem", empty = folder_ + "empty.pem",
                    locked = folder_ + "locked.pem";
  write_certificate(folder_ + "unused.pem", other, "other");
  std::ofstream(empty) << "";
  EXPECT_NE(message(folder_ + "none.pem", key_).find("none.pem: No such file"), std::string::npos);
  EXPECT_NE(message(certificate_, folder_ + "none.pem").find("none.pem: No such file"), std::string::npos);
  EXPECT_NE(message(empty, key_).find("empty.pem is no certificate"), std::string::npos);
  EXPECT_NE(message(certificate_, other).find("other.pem is not the key of"), std::string::npos)
      << message(certificate_, other);
  EXPECT_NE(message(key_, certificate_).find("key.pem is no certificate"), std::string::npos);
  std::FILE* file = std::fopen(locked.c_str(), "w");
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  PEM_write_PrivateKey(file, pair, EVP_aes_128_cbc(), reinterpret_cast<const unsigned char*>("x"), 1, nullptr,
                       nullptr);
  EVP_PKEY_free(pair);
  std::fclose(file);
  EXPECT_NE(message(certificate_, locked).find("not encrypted"), std::string::npos) << "and nobody is asked";
  write_certificate(certificate_, key_, "expired", -60);
  EXPECT_EQ(message(certificate_, key_), "it started");
  EXPECT_NE(told().find("has expired"), std::string::npos);
}

}  // namespace
}  // namespace deepwell::http
