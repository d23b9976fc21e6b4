// SPDX-License-Identifier: Apache-2.0
// Goal: every byte of every part is what the file has, whatever its offset and length, with io_uring and
// without; a file that became shorter is an error that says where, and the reader goes on with others.
#include "base/direct_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::TempDir;

struct Aligned {
  explicit Aligned(std::int64_t bytes)
      : memory(static_cast<std::byte*>(
            std::aligned_alloc(DirectReader::kAlign, static_cast<std::size_t>(DirectReader::room(bytes))))) {}
  ~Aligned() { std::free(memory); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  std::byte* memory;
};

class DirectReaderTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::mt19937 random(1);
    content_.resize(5'000'123);
    for (char& c : content_) c = static_cast<char>(random() & 0xffU);
    path_ = temp_ / "file";
    std::ofstream(path_, std::ios::binary) << content_;
  }
  std::unique_ptr<DirectReader> reader() {
    auto opened = DirectReader::open({path_}, GetParam());
    EXPECT_TRUE(opened.ok());
    return std::move(opened).value();
  }
  TempDir temp_;
  std::string path_, content_;
};

TEST_P(DirectReaderTest, ManyPartsAtOnceAreWhatTheFileHas) {
  const auto reader = this->reader();
  if (!reader->has_ring() && GetParam()) GTEST_SKIP() << "this system allows no io_uring";
  const std::int64_t size = std::ssize(content_);
  const std::pair<std::int64_t, std::int64_t> parts[] = {
      {0, 1}, {0, size}, {4095, 2}, {4096, 4096}, {123'457, 3'000'001}, {size - 1, 1}, {size - 5000, 5000}};
  std::vector<std::unique_ptr<Aligned>> memory;
  std::vector<DirectReader::Read> reads(std::size(parts));
  for (std::size_t i = 0; i < reads.size(); ++i) {
    memory.push_back(std::make_unique<Aligned>(parts[i].second));
    reads[i] = {0, parts[i].first, parts[i].second, memory.back()->memory, 0, {}};
    reader->start(reads[i]);
  }
  for (std::size_t i = reads.size(); i-- > 0;) {  // in another order than they were started
    const Status status = reader->wait(reads[i]);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(std::memcmp(reads[i].data(), content_.data() + parts[i].first,
                          static_cast<std::size_t>(parts[i].second)),
              0)
        << "part " << i;
  }
}

TEST_P(DirectReaderTest, AFileThatBecameShorterIsAnErrorAndOthersGoOn) {
  const auto reader = this->reader();
  ASSERT_EQ(::truncate(path_.c_str(), 1'000'000), 0);
  Aligned lost_memory(600'000), whole_memory(1000);
  DirectReader::Read lost{0, 900'000, 600'000, lost_memory.memory, 0, {}};
  DirectReader::Read whole{0, 10, 1000, whole_memory.memory, 0, {}};
  reader->start(lost);
  reader->start(whole);
  const Status status = reader->wait(lost);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find("earlier than when it was opened"), std::string::npos)
      << status.error().message;
  ASSERT_TRUE(reader->wait(whole).ok());
  EXPECT_EQ(std::memcmp(whole.data(), content_.data() + 10, 1000), 0);
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutRing, DirectReaderTest, testing::Bool(),
                         [](const auto& one) { return std::string(one.param ? "ring" : "plain"); });

TEST(DirectReaderOpenTest, AFileThatIsNotThereIsAnError) {
  const auto opened = DirectReader::open({"/nonexistent/file"});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace deepwell
