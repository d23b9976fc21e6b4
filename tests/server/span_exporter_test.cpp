// SPDX-License-Identifier: Apache-2.0
// Goal: answers leave spans with the names that OpenTelemetry gives them; a collector that is away or slow
// costs spans, counted, and never time. Method: a collector of this server's own make.
#include "server/app/span_exporter.h"

#include "net/http/server.h"
#include "server/server_fixture.h"

namespace deepwell::fakes {
namespace {

class Collector {
 public:
  /// `slow`: answers nobody before refuse().
  explicit Collector(bool slow = false) : slow_(slow) {
    auto server = http::Server::start({}, [this](const std::shared_ptr<http::Exchange>& exchange) {
      const std::lock_guard lock(mutex_);
      bodies_.push_back(exchange->request().path + " " + exchange->request().body);
      if (slow_)
        held_.push_back(exchange);
      else
        exchange->reply({.status = status_});
    });
    DW_CHECK(server.ok());
    server_ = std::move(*server);
  }
  void refuse() {
    const std::lock_guard lock(mutex_);
    slow_ = false;
    status_ = 503;
    for (const auto& exchange : held_) exchange->reply({.status = status_});
    held_.clear();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/"; }
  std::vector<std::string> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> bodies_;
  std::vector<std::shared_ptr<http::Exchange>> held_;
  bool slow_;
  int status_ = 200;
  std::unique_ptr<http::Server> server_;
};

class SpanTest : public ServerTest {};

TEST_F(SpanTest, AnAnswerLeavesASpan) {
  const Collector collector;
  start_saying("Hello");
  service_->spans = SpanExporter::open(collector.url()).value();
  RawClient(port()).post("/v1/chat/completions", chat({{"max_tokens", 5}}).dump(),
                         "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
  ASSERT_TRUE(eventually([&] { return !collector.bodies().empty(); }));
  const std::string sent = collector.bodies().front();
  ASSERT_TRUE(sent.starts_with("/v1/traces {"));
  const json span = json::parse(sent.substr(11))["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
  EXPECT_EQ(span["name"], "chat fake-model");
  EXPECT_EQ(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span["parentSpanId"], "b7ad6b7169203331");
  EXPECT_EQ(span["spanId"].get<std::string>().size(), 16U);
  EXPECT_GE(span["endTimeUnixNano"].get<std::string>(), span["startTimeUnixNano"].get<std::string>());
  std::map<std::string, json> attributes;
  for (const json& one : span["attributes"]) attributes[one["key"]] = one["value"];
  EXPECT_EQ(attributes["gen_ai.operation.name"]["stringValue"], "chat");
  EXPECT_EQ(attributes["gen_ai.request.max_tokens"]["intValue"], "5");
  EXPECT_EQ(attributes["gen_ai.usage.output_tokens"]["intValue"], "1");
  EXPECT_EQ(attributes["gen_ai.response.finish_reasons"]["arrayValue"]["values"][0]["stringValue"], "stop");
  EXPECT_FALSE(span.contains("status"));
  EXPECT_TRUE(eventually([&] { return service_->spans->counts().sent == 1; }));
  const std::string metrics = RawClient(port()).get("/metrics").body;
  EXPECT_NE(metrics.find("deepwell:spans_total{outcome=\"sent\"} 1"), std::string::npos);
}

TEST(SpanExporter, NeverWaitsAndCountsWhatItDrops) {
  Collector collector(/*slow=*/true);
  auto exporter = SpanExporter::open(collector.url()).value();
  for (int i = 0; i < 20'000; ++i) exporter->add({"x", "", "", 1, 2, {}, {}});  // all while it says nothing
  EXPECT_GT(exporter->counts().dropped, 10'000);
  EXPECT_EQ(exporter->counts().sent, 0);
  collector.refuse();
  exporter.reset();
  auto nobody = SpanExporter::open("http://127.0.0.1:1").value();
  nobody->add({"x", "", "", 1, 2, {}, {}});
}

TEST(SpanExporter, ReadsTraceparentsAndAddresses) {
  Span span;
  for (const char* bad : {"", "00-0-1-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"}) {
    read_traceparent(bad, span);
    EXPECT_EQ(span.trace_id, "") << bad;
  }
  EXPECT_FALSE(SpanExporter::open("host:4318").ok());
}

}  // namespace
}  // namespace deepwell::fakes
