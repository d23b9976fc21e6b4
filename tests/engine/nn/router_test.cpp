// SPDX-License-Identifier: Apache-2.0
// Goal: the router chooses and weighs as each DeepSeek generation does.
#include "engine/nn/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace deepwell {
namespace {

TEST(Router, SoftmaxWithoutRenormalizing) {
  Router router;
  router.experts = 4;
  router.used = 2;
  float logits[] = {std::log(1.0F), std::log(4.0F), std::log(2.0F), std::log(3.0F)};
  std::int32_t ids[2];
  float weights[2];
  router.route(logits, 0, ids, weights);
  EXPECT_EQ(ids[0], 1);
  EXPECT_EQ(ids[1], 3);
  EXPECT_NEAR(weights[0], 0.4F, 1e-6);
  EXPECT_NEAR(weights[1], 0.3F, 1e-6);
}

TEST(Router, BiasChoosesButDoesNotWeigh) {
  Router router;
  router.score = Router::Score::kSigmoid;
  router.experts = 3;
  router.used = 2;
  router.normalize = true;
  router.scale = 2.5F;
  router.bias = {0, 0, 10};
  float logits[] = {0, -20, 0};
  std::int32_t ids[2];
  float weights[2];
  router.route(logits, 0, ids, weights);
  EXPECT_EQ(ids[0], 2);
  EXPECT_EQ(ids[1], 0);
  EXPECT_NEAR(weights[0], 1.25F, 1e-6);
  EXPECT_NEAR(weights[1], 1.25F, 1e-6);
}

// Two groups of three: the second has the best single expert, the first the best pair.
TEST(Router, GroupsAreRankedByTheirBestOrByTheirBestTwo) {
  const float logits[] = {2, 2, -5, 3, -5, -5};
  for (const bool sigmoid : {false, true}) {
    Router router;
    router.score = sigmoid ? Router::Score::kSigmoid : Router::Score::kSoftmax;
    router.experts = 6;
    router.used = 1;
    router.groups = 2;
    router.groups_used = 1;
    float copy[6];
    std::copy(std::begin(logits), std::end(logits), copy);
    std::int32_t id;
    float weight;
    router.route(copy, 0, &id, &weight);
    EXPECT_EQ(id, sigmoid ? 0 : 3);
  }
}

TEST(Router, SqrtSoftplusIsStableAndItsWeightsSumToTheScale) {
  Router router;
  router.score = Router::Score::kSqrtSoftplus;
  router.experts = 4;
  router.used = 4;
  float logits[] = {0, 100, -100, 2};
  std::int32_t ids[4];
  float weights[4];
  router.route(logits, 0, ids, weights);
  EXPECT_EQ(std::vector<std::int32_t>(ids, ids + 4), (std::vector<std::int32_t>{1, 3, 0, 2}));
  EXPECT_NEAR(weights[0], 10, 1e-5);
  EXPECT_NEAR(weights[1], std::sqrt(std::log1p(std::exp(2.0))), 1e-6);
  EXPECT_NEAR(weights[2], std::sqrt(std::log(2.0)), 1e-6);
  EXPECT_NEAR(weights[3], 0, 1e-6);
  router.normalize = true;
  router.scale = 1.5F;
  float again[] = {0, 100, -100, 2};
  router.route(again, 0, ids, weights);
  EXPECT_NEAR(weights[0] + weights[1] + weights[2] + weights[3], 1.5, 1e-6);
}

TEST(Router, ATableChoosesByTheTokenAndScoresWeigh) {
  Router router;
  router.score = Router::Score::kSqrtSoftplus;
  router.experts = 4;
  router.used = 2;
  router.table = {0, 1, 3, 2};  // of tokens 0 and 1
  float logits[] = {9, 9, 0, 2};
  std::int32_t ids[2];
  float weights[2];
  router.route(logits, 1, ids, weights);
  EXPECT_EQ(ids[0], 3);
  EXPECT_EQ(ids[1], 2);
  EXPECT_NEAR(weights[0], std::sqrt(std::log1p(std::exp(2.0))), 1e-6);
  EXPECT_NEAR(weights[1], std::sqrt(std::log(2.0)), 1e-6);
}

TEST(Router, TiesGoToTheLowerExpert) {
  Router router;
  router.experts = 5;
  router.used = 3;
  float logits[5] = {};
  std::int32_t ids[3];
  float weights[3];
  router.route(logits, 0, ids, weights);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ids[i], i);
}

}  // namespace
}  // namespace deepwell
