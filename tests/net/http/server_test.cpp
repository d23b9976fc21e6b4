// SPDX-License-Identifier: Apache-2.0
// Goal: the server keeps HTTP's rules with clients that do, and stays alive and bounded with those that do
// not. Method: real sockets on a free port; a handler with a few paths; short limits so that nothing waits
// long.
#include "net/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/http/raw_client.h"

namespace deepwell::http {
namespace {
using namespace std::chrono_literals;
using testing_http::RawClient;
using testing_http::Reply;
using testing_support::eventually;

class HttpServerTest : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    auto server =
        Server::start(std::move(options), [this](std::shared_ptr<Exchange> exchange) { handle(exchange); });
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override {
    drop_held();
    server_.reset();
  }

  void handle(const std::shared_ptr<Exchange>& exchange) {
    const std::string path = exchange->request().path;
    if (path == "/hold" || path == "/stream") {
      exchange->on_disconnect([this] { ++gone_; });
      if (path == "/stream") {
        Response head;
        head.content_type = "text/event-stream";
        exchange->begin_stream(head);
      }
      const std::lock_guard lock(mutex_);
      held_.push_back(exchange);
      return;
    }
    if (path == "/throw") throw std::runtime_error("a handler's bug");
    if (path == "/forget") return;
    if (path == "/big") {
      Response response;
      response.body = std::string(8U << 20, 'x');
      return exchange->reply(response);
    }
    Response response;
    response.body =
        exchange->request().method + " " + exchange->request().target + " " + exchange->request().body;
    exchange->reply(response);
  }
  std::shared_ptr<Exchange> held() {
    std::shared_ptr<Exchange> found;
    EXPECT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex_);
      if (held_.empty()) return false;
      found = held_.front();
      held_.erase(held_.begin());
      return true;
    }));
    return found;
  }
  void drop_held() {
    const std::lock_guard lock(mutex_);
    held_.clear();
  }
  std::uint16_t port() const { return server_->port(); }

  std::unique_ptr<Server> server_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> held_;
  std::atomic<int> gone_{0};
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  start();
  RawClient client(port());
  for (int i = 0; i < 3; ++i) {
    const Reply reply = client.get("/a?b=" + std::to_string(i));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "GET /a?b=" + std::to_string(i) + " ");
    EXPECT_EQ(reply.header("Connection"), "keep-alive");
  }
  EXPECT_EQ(client.post("/p", "hello").body, "POST /p hello");
}

TEST_F(HttpServerTest, ClosesWhenAskedAndForHttp10) {
  start();
  RawClient asked(port());
  asked.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(asked.read_reply().header("Connection"), "close");
  EXPECT_TRUE(asked.receive_until_closed());
  RawClient old(port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_reply().status, 200);
  EXPECT_TRUE(old.receive_until_closed());
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(port());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "body" + std::to_string(i);
    all += "POST /" + std::to_string(i) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.read_reply().body, "POST /" + std::to_string(i) + " body" + std::to_string(i));
  }
}

TEST_F(HttpServerTest, APipelinedRequestWaitsForTheRunningOne) {
  start();
  RawClient client(port());
  client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  auto first = held();
  EXPECT_FALSE(client.receive(50ms));
  Response response;
  response.body = "held";
  first->reply(response);
  EXPECT_EQ(client.read_reply().body, "held");
  EXPECT_EQ(client.read_reply().body, "GET /next ");
  EXPECT_EQ(gone_, 0);
}

TEST_F(HttpServerTest, ReadsChunkedBodiesByteByByte) {
  start();
  RawClient client(port());
  const std::string request =
      "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
      "world\r\n0\r\n\r\n";
  for (const char c : request) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_EQ(client.read_reply().body, "POST /c hello world");
}

TEST_F(HttpServerTest, HeadHasNoBodyAndExpectIsAnswered) {
  start();
  RawClient client(port());
  client.send("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
  const Reply head = client.read_reply(/*head_only=*/true);
  EXPECT_EQ(head.header("Content-Length"), std::to_string(std::string("HEAD /h ").size()));
  client.send("POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 100);
  client.send("ok");
  EXPECT_EQ(client.read_reply().body, "POST /e ok");
}

TEST_F(HttpServerTest, MalformedRequestsGet4xxAndTheDoor) {
  start();
  const std::pair<const char*, int> cases[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/9.9\r\n\r\n", 505},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", 415},
      {"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nNoColon\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
      {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03 TLS hello\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    SCOPED_TRACE(bytes);
    RawClient client(port());
    client.send(bytes);
    EXPECT_EQ(client.read_reply().status, status);
    client.half_close();
    EXPECT_TRUE(client.receive_until_closed());
  }
  EXPECT_EQ(RawClient(port()).get("/still-alive").status, 200);
}

TEST_F(HttpServerTest, WhatIsOddButAllowedIsAnswered) {
  start();
  RawClient old(port());
  old.send("GET /old HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_reply().status, 200) << "HTTP/1.0 knows no Host";
  EXPECT_EQ(RawClient(port()).post("/plain", "ok", "Content-Encoding: identity\r\n").status, 200);
  const Reply coded = RawClient(port()).post("/packed", "xx", "Content-Encoding: gzip\r\n");
  EXPECT_EQ(coded.status, 415);
  EXPECT_NE(coded.body.find("Content-Encoding"), std::string::npos) << coded.body;
  EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
}

TEST_F(HttpServerTest, HugeHeadersAndBodiesAreRefused) {
  ServerOptions options;
  options.body_bytes_max = 1000;
  start(options);
  RawClient headers(port());
  headers.send("GET / HTTP/1.1\r\nHost: a\r\n");
  const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 30 && headers.send(line); ++i) {
  }
  EXPECT_EQ(headers.read_reply().status, 431);

  RawClient declared(port());
  declared.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_EQ(declared.read_reply().status, 413);

  // A client that sends all of a refused body before it reads must still get the answer, not a reset.
  RawClient sent(port());
  EXPECT_TRUE(sent.send_post("/", std::string(3U << 20, 'x')));
  EXPECT_EQ(sent.read_reply().status, 413);

  RawClient chunked(port());
  chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string piece = "1f4\r\n" + std::string(500, 'x') + "\r\n";
  for (int i = 0; i < 3; ++i) chunked.send(piece);
  EXPECT_EQ(chunked.read_reply().status, 413);
  EXPECT_EQ(RawClient(port()).post("/", std::string(1000, 'y')).status, 200);
}

TEST_F(HttpServerTest, AllBodiesTogetherAreBounded) {
  ServerOptions options;
  options.bodies_bytes_max = 1500;
  start(options);
  RawClient first(port());
  first.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
  ASSERT_EQ(first.read_reply().status, 100);  // the server has counted it
  RawClient second(port());
  second.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  const Reply refused = second.read_reply();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  first.send(std::string(1000, 'x'));
  EXPECT_EQ(first.read_reply().status, 200);
  // The room comes back.
  EXPECT_TRUE(eventually([&] { return RawClient(port()).post("/", std::string(1000, 'y')).status == 200; }));
}

TEST_F(HttpServerTest, SlowLorisIsShownOut) {
  // One limit at a time: this client may itself be slow to say what it has to.
  ServerOptions options;
  options.header_timeout = 100ms;
  start(options);
  RawClient header(port());
  header.send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(header.read_reply().status, 408);
  // Dripping bytes must not move the limit.
  RawClient drip(port());
  EXPECT_TRUE(eventually([&] { return !drip.send("a") || drip.receive(20ms); }));
  options = {};
  options.body_timeout = 100ms;
  start(options);
  RawClient body(port());
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  EXPECT_EQ(body.read_reply().status, 408);
  options = {};
  options.idle_timeout = 100ms;
  start(options);
  RawClient idle(port());
  EXPECT_TRUE(idle.receive_until_closed());
  EXPECT_EQ(idle.input, "");
}

TEST_F(HttpServerTest, StreamsArriveAtOnceAndEnd) {
  start();
  RawClient client(port());
  client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));  // the head, before anything was sent
  auto exchange = held();
  exchange->send(sse_event("one"));
  ASSERT_TRUE(client.receive_until("data: one\n\n"));
  exchange->send(sse_event("two\nlines"));
  exchange->end();
  exchange->send("after the end");
  const Reply reply = client.read_reply();
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body, "data: one\n\ndata: two\ndata: lines\n\n");
  EXPECT_EQ(client.get("/again").status, 200);
  EXPECT_EQ(gone_, 0);
}

TEST_F(HttpServerTest, SilentStreamsCarryComments) {
  ServerOptions options;
  options.keep_alive_every = 30ms;
  start(options);
  RawClient client(port());
  client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(client.receive_until(": keep-alive\n\n"));
  client.input.erase(client.input.rfind(": keep-alive"));
  EXPECT_TRUE(client.receive_until(": keep-alive\n\n"));
}

TEST_F(HttpServerTest, AHeldAnswerShowsThatItIsOnItsWay) {
  ServerOptions options;
  options.keep_alive_every = 30ms;
  start(options);
  RawClient client(port());
  client.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  auto exchange = held();
  exchange->hold({.content_type = "application/json"});
  ASSERT_TRUE(client.receive_until("1\r\n\n\r\n1\r\n\n\r\n"));
  exchange->reply({.content_type = "application/json", .body = "{\"late\": true}"});
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body.substr(reply.body.find_first_not_of('\n')), "{\"late\": true}");
  EXPECT_EQ(client.get("/again").status, 200) << "the connection goes on";
}

TEST_F(HttpServerTest, AHeldAnswerThatFailsIsCutOff) {
  ServerOptions options;
  options.keep_alive_every = 30ms;
  start(options);
  RawClient client(port());
  client.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  auto exchange = held();
  exchange->hold({.content_type = "application/json"});
  ASSERT_TRUE(client.receive_until("1\r\n\n\r\n"));
  exchange->reply({.status = 500, .content_type = "application/json", .body = "{\"error\": 1}"});
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 200) << "it had gone out";
  EXPECT_NE(reply.body.find("{\"error\": 1}"), std::string::npos);
  EXPECT_FALSE(reply.complete) << "nobody may take this for a success";
  EXPECT_TRUE(client.receive_until_closed());
}

TEST_F(HttpServerTest, AHeldAnswerThatComesInTimeIsAnyOther) {
  start();
  RawClient client(port());
  client.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  auto exchange = held();
  exchange->hold({.content_type = "application/json"});
  exchange->reply({.status = 503, .body = "no"});
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "no");
  EXPECT_EQ(reply.header("Content-Length"), "2");
}

TEST_F(HttpServerTest, Http10StreamsEndWithTheConnection) {
  start();
  RawClient client(port());
  client.send("GET /stream HTTP/1.0\r\n\r\n");
  auto exchange = held();
  exchange->send("plain bytes");
  exchange->end();
  const Reply reply = client.read_reply();
  EXPECT_EQ(reply.header("Transfer-Encoding"), "");
  EXPECT_EQ(reply.body, "plain bytes");
  EXPECT_TRUE(reply.complete);
}

TEST_F(HttpServerTest, TellsWhenTheClientLeaves) {
  start();
  for (const char* path : {"/hold", "/stream"}) {
    SCOPED_TRACE(path);
    gone_ = 0;
    auto client = std::make_unique<RawClient>(port());
    client->send(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    auto exchange = held();
    EXPECT_FALSE(exchange->disconnected());
    client.reset();
    EXPECT_TRUE(eventually([&] { return gone_ == 1; }));
    EXPECT_TRUE(exchange->disconnected());
    bool called = false;
    exchange->on_disconnect([&] { called = true; });  // registered late: called at once
    EXPECT_TRUE(called);
  }
}

TEST_F(HttpServerTest, AHalfClosedClientStillGetsAQuickAnswer) {
  start();
  RawClient client(port());
  client.send("GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  client.half_close();
  EXPECT_EQ(client.read_reply().body, "GET /quick ");
}

TEST_F(HttpServerTest, ReadersTooSlowAreDropped) {
  ServerOptions options;
  options.unsent_bytes_max = 256 * 1024;
  options.write_timeout = 200ms;
  start(options);
  RawClient stuck(port(), /*receive_buffer=*/4096);
  stuck.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  auto exchange = held();
  for (int i = 0; i < 20000 && gone_ == 0; ++i) exchange->send(std::string(4000, 'x'));
  EXPECT_TRUE(eventually([&] { return gone_ == 1; }));
  exchange.reset();
  RawClient big(port(), /*receive_buffer=*/4096);
  big.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");  // and never reads
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpServerTest, HandlersThatThrowOrForgetBecome500) {
  start();
  RawClient client(port());
  EXPECT_EQ(client.get("/throw").status, 500);
  EXPECT_EQ(client.get("/forget").status, 500);
  EXPECT_EQ(client.get("/fine").status, 200);
}

TEST_F(HttpServerTest, TooManyConnectionsAreRefusedPolitely) {
  ServerOptions options;
  options.connections_max = 2;
  start(options);
  RawClient one(port()), two(port());
  EXPECT_EQ(one.get("/").status, 200);
  EXPECT_EQ(two.get("/").status, 200);
  RawClient three(port());
  EXPECT_EQ(three.read_reply().status, 503);
  one.close();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 1; }));
  EXPECT_EQ(RawClient(port()).get("/").status, 200);
}

TEST_F(HttpServerTest, StopLetsRunningAnswersEnd) {
  start();
  RawClient idle(port());
  EXPECT_EQ(idle.get("/").status, 200);
  RawClient ends(port());
  ends.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  auto ending = held();
  const std::uint16_t was = port();
  std::thread stopper([&] { server_->stop(1h); });
  EXPECT_TRUE(idle.receive_until_closed());
  EXPECT_FALSE(RawClient(was).connected());
  ending->send("last words");
  ending->end();
  ending.reset();
  const Reply reply = ends.read_reply();
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body, "last words");
  stopper.join();
  EXPECT_EQ(gone_, 0);
}

TEST_F(HttpServerTest, StopCutsWhatDoesNotEndInTime) {
  start();
  RawClient hangs(port());
  hangs.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  auto hanging = held();
  server_->stop(100ms);
  EXPECT_TRUE(hangs.receive_until_closed());
  EXPECT_EQ(gone_, 1);
  hanging->send("to nobody");  // harmless after the server is gone
  server_.reset();
  hanging.reset();
}

TEST_F(HttpServerTest, ManyStreamsAtOnceOnTwoThreads) {
  start();
  constexpr int kStreams = 200;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (int i = 0; i < kStreams; ++i) exchanges.push_back(held());
  std::string expected;
  for (int piece = 0; piece < 50; ++piece) {
    const std::string event = sse_event(std::to_string(piece));
    expected += event;
    for (auto& exchange : exchanges) exchange->send(event);
  }
  for (auto& exchange : exchanges) exchange->end();
  for (auto& client : clients) {
    const Reply reply = client->read_reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(reply.body, expected);
  }
}

TEST_F(HttpServerTest, CorsOnlyForAllowedOrigins) {
  ServerOptions options;
  options.cors_origins = {"https://good.example"};
  start(options);
  RawClient client(port());
  client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://good.example\r\n\r\n");
  EXPECT_EQ(client.read_reply().header("Access-Control-Allow-Origin"), "https://good.example");
  client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://bad.example\r\n\r\n");
  EXPECT_EQ(client.read_reply().header("Access-Control-Allow-Origin"), "");
}

TEST(HttpServerStart, SaysWhyItCannotListen) {
  auto ignore = [](const std::shared_ptr<Exchange>&) {};
  auto first = Server::start({}, ignore);
  ASSERT_TRUE(first.ok());
  ServerOptions same;
  same.port = (*first)->port();
  auto second = Server::start(same, ignore);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find(std::to_string(same.port)), std::string::npos);
  ServerOptions nowhere;
  nowhere.host = "203.0.113.1";  // an address reserved for documentation
  EXPECT_FALSE(Server::start(nowhere, ignore).ok());
}

}  // namespace
}  // namespace deepwell::http
