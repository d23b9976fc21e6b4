// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"
#include "base/topology.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {

TEST(Isa, NamesAndParsesBack) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) EXPECT_EQ(isa_from_name(isa_name(isa)), isa);
  EXPECT_EQ(isa_from_name("AVX2"), std::nullopt);
  EXPECT_EQ(isa_from_name(""), std::nullopt);
}

TEST(Isa, IsTheMachinesOwnWhenNothingIsWanted) {
  EXPECT_EQ(choose_isa(nullptr, Isa::kAvx2).value(), Isa::kAvx2);
  EXPECT_EQ(choose_isa("", Isa::kAvx512).value(), Isa::kAvx512);
}

TEST(Isa, CanBeLoweredButNotRaised) {
  EXPECT_EQ(choose_isa("scalar", Isa::kAvx512).value(), Isa::kScalar);
  EXPECT_EQ(choose_isa("avx2", Isa::kAvx2).value(), Isa::kAvx2);
  const auto raised = choose_isa("avx512", Isa::kAvx2);
  ASSERT_FALSE(raised.ok());
  EXPECT_EQ(raised.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(raised.error().message.find("at most avx2"), std::string::npos) << raised.error().message;
}

TEST(Isa, AnUnknownWordIsAnErrorThatListsTheKnown) {
  const auto bad = choose_isa("sse9", Isa::kAvx512);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalid);
  EXPECT_NE(bad.error().message.find("'sse9'"), std::string::npos);
  EXPECT_NE(bad.error().message.find("scalar, avx2 or avx512"), std::string::npos);
}

TEST(Isa, OptionalSetsComeOnlyWithAvx512) {
  if (best_isa() != Isa::kAvx512) {
    EXPECT_FALSE(has_avx512_bf16());
    EXPECT_FALSE(has_avx512_vbmi());
  }
  EXPECT_LE(best_isa(), cpu_isa());
}

TEST(Cores, AreWithinTheMachine) {
  EXPECT_GE(physical_cores(), 1);
  EXPECT_LE(physical_cores(), static_cast<int>(allowed_cpus().size()));
}

TEST(CpuQuota, ReadsQuotaOverPeriod) {
  EXPECT_DOUBLE_EQ(parse_cpu_max("150000 100000\n").value(), 1.5);
  EXPECT_DOUBLE_EQ(parse_cpu_max("200000\n 100000\n").value(), 2.0);
}

TEST(CpuQuota, IsNothingWhenUnlimitedOrUnreadable) {
  for (const char* text : {"max 100000\n", "-1\n 100000\n", "", "100000", "1 0", "x y"})
    EXPECT_EQ(parse_cpu_max(text), std::nullopt) << text;
}

TEST(CpuName, IsOneLine) {
  EXPECT_FALSE(cpu_name().empty());
  EXPECT_EQ(cpu_name().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace deepwell
