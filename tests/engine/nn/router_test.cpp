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
  router.route(logits, ids, weights);
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
  router.route(logits, ids, weights);
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
    router.route(copy, &id, &weight);
    EXPECT_EQ(id, sigmoid ? 0 : 3);
  }
}

TEST(Router, TiesGoToTheLowerExpert) {
  Router router;
  router.experts = 5;
  router.used = 3;
  float logits[5] = {};
  std::int32_t ids[3];
  float weights[3];
  router.route(logits, ids, weights);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ids[i], i);
}

}  // namespace
}  // namespace deepwell
