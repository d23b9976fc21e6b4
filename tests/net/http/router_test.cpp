// SPDX-License-Identifier: Apache-2.0
// Goal: paths find their handlers, captures are right, and what is missing is told apart (404, 405).
#include "net/http/router.h"

#include <gtest/gtest.h>

#include "net/http/wire.h"

namespace deepwell::http {
namespace {

Request request_of(const std::string& method, const std::string& path) {
  Request request;
  request.method = method;
  request.path = path;
  return request;
}

TEST(Router, FindsPlainCapturedAndRestRoutes) {
  Router router;
  router.add("GET", "/", 0);
  router.add("GET", "/v1/models", 1);
  router.add("GET", "/v1/models/{id...}", 2);
  router.add("POST", "/v1/things/{id}/cancel", 3);
  const auto tag = [&](const std::string& method, const std::string& path, std::string* id = nullptr) {
    Request request = request_of(method, path);
    const int found = router.find(request).tag;
    if (id != nullptr) *id = request.captured["id"];
    return found;
  };
  std::string id;
  EXPECT_EQ(tag("GET", "/"), 0);
  EXPECT_EQ(tag("HEAD", "/"), 0);
  EXPECT_EQ(tag("GET", "/v1/models"), 1);
  EXPECT_EQ(tag("GET", "/v1/models/org/name:Q4", &id), 2);
  EXPECT_EQ(id, "org/name:Q4");
  EXPECT_EQ(tag("POST", "/v1/things/7/cancel", &id), 3);
  EXPECT_EQ(id, "7");
  EXPECT_EQ(tag("GET", "/v1/models/"), -1);
  EXPECT_EQ(tag("POST", "/v1/things//cancel"), -1);
  EXPECT_EQ(tag("POST", "/v1/things/7/cancel/x"), -1);
  EXPECT_EQ(tag("GET", "*"), -1);
  EXPECT_EQ(tag("GET", ""), -1);
}

TEST(Router, TellsTheMethodsOfAPath) {
  Router router;
  router.add("GET", "/x", 0);
  router.add("POST", "/x", 1);
  Request wrong = request_of("DELETE", "/x");
  EXPECT_EQ(router.find(wrong).tag, -1);
  EXPECT_EQ(router.find(wrong).allow, "GET, HEAD, POST, OPTIONS");
  Request unknown = request_of("GET", "/y");
  EXPECT_EQ(router.find(unknown).allow, "");
}

TEST(Wire, HeaderValuesCannotSplitTheAnswer) {
  Response response;
  response.headers.push_back({"X-Echo", "a\r\nSet-Cookie: evil"});
  const std::string head = head_bytes(response, Framing::kLength, true, {});
  EXPECT_EQ(head.find("\r\nSet-Cookie"), std::string::npos);
}

TEST(Message, PercentDecoding) {
  EXPECT_EQ(percent_decode("/a%2Fb%20c"), "/a/b c");
  EXPECT_EQ(percent_decode("%"), "%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%41"), "%zzA");
}

}  // namespace
}  // namespace deepwell::http
