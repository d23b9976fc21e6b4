// SPDX-License-Identifier: Apache-2.0
// Goal: who was sent away and comes back when told is let in; who never comes back shuts nobody out, least of
// all from an idle server. Method: admission by itself, beside books that say how many run.
#include "engine/run/admission.h"

#include <gtest/gtest.h>

#include <thread>

#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    options_.parallel = kPlaces;
    options_.queue = kQueue;
    info_.vocabulary = 128;
    info_.context = 512;
    shared_.stats.running = kPlaces;
  }

  bool comes(std::uint64_t who) {
    const auto id = admission_.submit(request_of(some_prompt(20, who), 4), std::make_shared<NotingSink>());
    EXPECT_TRUE(id.ok() || id.error().code == ErrorCode::kOverloaded);
    return id.ok();
  }
  int sent_away(std::uint64_t first, int count) {
    int refused = 0;
    for (int i = 0; i < count; ++i) refused += comes(first + static_cast<std::uint64_t>(i)) ? 0 : 1;
    return refused;
  }
  /// As many as that get their places, and are over.
  void goes_on(int count) {
    for (int i = 0; i < count; ++i) {
      const std::lock_guard lock(shared_.mutex);
      Sequence* const next = shared_.queue.best();
      ASSERT_NE(next, nullptr);
      shared_.queue.remove(next);
      admission_.release(*next);
    }
  }

  static constexpr int kPlaces = 4, kQueue = 8;
  EngineOptions options_;
  EngineInfo info_;
  SharedState shared_;
  Admission admission_{options_, info_, shared_};
};

TEST_F(AdmissionTest, PromisesToThoseWhoNeverComeBackDoNotShutAnIdleServer) {
  ASSERT_EQ(sent_away(0, kQueue), 0);
  ASSERT_EQ(sent_away(100, 100), 100);
  goes_on(kQueue);
  shared_.stats.running = 0;  // nobody is left, and 100 promises are not over yet
  EXPECT_TRUE(comes(1000));
}

TEST_F(AdmissionTest, HalfOfTheRoomIsForWhoeverComes) {
  ASSERT_EQ(sent_away(0, kQueue), 0);
  ASSERT_EQ(sent_away(100, 100), 100);
  goes_on(kQueue);
  EXPECT_EQ(sent_away(1000, kQueue), kQueue / 2);
}

TEST_F(AdmissionTest, WhoComesBackInTimeIsLetInAlthoughOthersTookTheRest) {
  ASSERT_EQ(sent_away(0, kQueue), 0);
  ASSERT_EQ(sent_away(100, 3), 3);
  const double told = shared_.stats.retry_after_seconds;
  ASSERT_LT(told, 5);
  std::this_thread::sleep_for(std::chrono::duration<double>(told + 0.05));
  EXPECT_FALSE(comes(1000)) << "the queue is still full for others";
  EXPECT_EQ(sent_away(100, 3), 0);
}

}  // namespace
}  // namespace deepwell
