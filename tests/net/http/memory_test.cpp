// SPDX-License-Identifier: Apache-2.0
// Goal: where memory ends while an answer is made, that answer fails and nothing else: the client gets all of
// it or sees that it did not, and the server goes on. Method: the first, second, third, ... piece of memory
// that a handler asks for is refused, until none is.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <thread>

#include "net/http/raw_client.h"
#include "net/http/server.h"

namespace {
thread_local int refuse_after = -1;  // -1: nothing is refused
thread_local bool refused = false;
}  // namespace

// Only a handler that asks for it is ever refused anything.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (refuse_after >= 0 && refuse_after-- == 0) {
    refused = true;
    throw std::bad_alloc();
  }
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace deepwell::http {
namespace {
using namespace std::chrono_literals;
using testing_http::RawClient;
using testing_http::Reply;

/// Calls `handler` for one request after the other, each with memory for one allocation more, until it had
/// enough. `judge` gets what the client saw.
void starve(const std::function<void(Exchange&)>& handler, const std::function<void(const Reply&)>& judge) {
  std::atomic<int> allowed{0};
  std::atomic<bool> enough{false};
  ServerOptions options;
  options.keep_alive_every = 20ms;
  auto server = Server::start(options, [&](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().path == "/fine") return exchange->reply({.body = "fine"});
    refused = false;
    refuse_after = allowed.load();
    try {
      handler(*exchange);
      exchange.reset();
    } catch (...) {
      refuse_after = -1;
      throw;
    }
    refuse_after = -1;
    enough = !refused;
  });
  ASSERT_TRUE(server.ok());
  for (; !enough && allowed < 500; ++allowed) {
    SCOPED_TRACE(allowed.load());
    RawClient client((*server)->port());
    client.send("GET /starve HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const Reply reply = client.read_reply();
    ASSERT_TRUE(reply.complete || client.receive_until_closed()) << "nobody is left waiting";
    if (reply.complete) judge(reply);
    ASSERT_EQ(RawClient((*server)->port()).get("/fine").body, "fine") << "others notice nothing";
  }
  EXPECT_TRUE(enough);
  EXPECT_GT(allowed, 1) << "something was refused";
  EXPECT_TRUE(testing_support::eventually([&] { return (*server)->connections() == 0; }));
}

TEST(WithoutMemory, AnAnswerIsWholeOrAnError) {
  starve([](Exchange& exchange) { exchange.reply({.body = std::string(5000, 'x')}); },
         [](const Reply& reply) {
           EXPECT_TRUE(reply.status == 500 || (reply.status == 200 && reply.body == std::string(5000, 'x')));
         });
}

TEST(WithoutMemory, AStreamIsWholeOrCutOff) {
  starve(
      [](Exchange& exchange) {
        exchange.begin_stream({.content_type = "text/event-stream"});
        for (int i = 0; i < 5; ++i)
          exchange.send(sse_event("piece " + std::to_string(i) + std::string(100, '.')));
        exchange.end();
      },
      [](const Reply& reply) {
        if (reply.status == 500) return;
        for (int i = 0; i < 5; ++i)
          EXPECT_NE(reply.body.find("piece " + std::to_string(i)), std::string::npos) << "no hole in it";
      });
}

TEST(WithoutMemory, AHeldAnswerIsWholeOrAnError) {
  starve(
      [](Exchange& exchange) {
        exchange.hold({.content_type = "application/json"});
        exchange.reply(
            {.content_type = "application/json", .body = "{\"long\": \"" + std::string(100, 'x') + "\"}"});
      },
      [](const Reply& reply) {
        EXPECT_TRUE(reply.status == 500 || reply.body.find("x\"}") != std::string::npos) << reply.body;
      });
}

}  // namespace
}  // namespace deepwell::http
