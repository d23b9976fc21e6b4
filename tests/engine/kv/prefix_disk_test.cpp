// SPDX-License-Identifier: Apache-2.0
// Goal: what was stored comes back whole or not at all: after a restart, from damaged files, from folders of
// other versions, from a full one; sizes and writes stay within their limits. Method: files cut, flipped and
// planted by hand.
#include "engine/kv/prefix_disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::TempDir;
using Bytes = std::vector<std::byte>;
namespace fs = std::filesystem;

constexpr std::int64_t kPage = 5000, kFile = kPage + 88;

Bytes some_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

class PrefixDiskTest : public testing::Test {
 protected:
  std::unique_ptr<PrefixDisk> open(std::string version = "model 1", std::int64_t bytes_max = 1 << 20) {
    PrefixDiskOptions options;
    options.folder = temp_ / "prefixes";
    options.bytes_max = bytes_max;
    options.version = std::move(version);
    options.page_bytes = kPage;
    options.state_bytes = 100;
    options.log = [this](const std::string& line) { log_.push_back(line); };
    auto disk = PrefixDisk::open(std::move(options));
    EXPECT_TRUE(disk.ok()) << disk.error().message;
    return std::move(*disk);
  }
  static PrefixDisk::Digest name(const PrefixDisk& disk, int number) {
    return PrefixDisk::after(disk.root(), std::to_string(number));
  }
  static void store(PrefixDisk& disk, int number) {
    disk.store(name(disk, number), some_bytes(kPage, static_cast<std::uint64_t>(number)),
               some_bytes(static_cast<std::size_t>(number % 3) * 10, 7));
  }
  static bool load(PrefixDisk& disk, int number) {
    Bytes page(kPage), state;
    if (!disk.load(name(disk, number), page, state)) return false;
    EXPECT_EQ(page, some_bytes(kPage, static_cast<std::uint64_t>(number)));
    EXPECT_EQ(state, some_bytes(static_cast<std::size_t>(number % 3) * 10, 7));
    return true;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(temp_ / "prefixes"))
      if (entry.is_regular_file()) found.push_back(entry.path());
    return found;
  }

  TempDir temp_;
  std::vector<std::string> log_;
};

TEST_F(PrefixDiskTest, RemembersAcrossRestarts) {
  {
    const auto disk = open();
    for (int i = 0; i < 10; ++i) store(*disk, i);
    disk->flush();
    EXPECT_EQ(disk->bytes(), disk->written_bytes());
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(load(*disk, i));
    EXPECT_FALSE(load(*disk, 10));
    store(*disk, 3);
    disk->flush();
    EXPECT_EQ(files().size(), 10U);
  }
  const auto disk = open();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(disk->has(name(*disk, i)));
    EXPECT_TRUE(load(*disk, i));
  }
  EXPECT_FALSE(disk->has(name(*disk, 10)));
  EXPECT_EQ(log_, std::vector<std::string>{});
}

TEST_F(PrefixDiskTest, OtherVersionsFindNothing) {
  store(*open(), 1);
  const auto other = open("model 2");
  EXPECT_FALSE(other->has(name(*other, 1)));
  EXPECT_GT(other->bytes(), 0) << "but they count";
}

TEST_F(PrefixDiskTest, EveryCutAndEveryFlippedByteIsAMissWithOneLine) {
  store(*open(), 1);
  const fs::path path = files().at(0);
  const std::string whole = testing_support::read_file(path);
  ASSERT_EQ(whole.size(), static_cast<std::size_t>(kFile + 10));
  std::mt19937 random(1);
  const auto spoil = [&](const std::string& bytes) {
    const auto disk = open();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    log_.clear();
    EXPECT_FALSE(load(*disk, 1));
    EXPECT_EQ(log_.size(), 1U);
    EXPECT_FALSE(disk->has(name(*disk, 1)));
    EXPECT_TRUE(files().empty()) << "it is gone";
    EXPECT_FALSE(load(*disk, 1));
    EXPECT_EQ(log_.size(), 1U);
    std::ofstream(path, std::ios::binary) << whole;
  };
  for (int i = 0; i < 60; ++i) {
    spoil(whole.substr(0, random() % whole.size()));
    std::string flipped = whole;
    const auto at = i < 88 ? static_cast<std::size_t>(i) : random() % whole.size();
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random() % 8));
    spoil(flipped);
  }
  spoil(whole + "x");
  spoil("");
  const auto disk = open();
  EXPECT_TRUE(load(*disk, 1));
}

TEST_F(PrefixDiskTest, TheLongestUnusedGoWhenItIsFullAlsoAfterARestart) {
  const std::int64_t room = 10 * (kFile + 20);
  for (int i = 0; i < 10; ++i) {
    open("model 1", 10 * room)->store(name(*open(), i), some_bytes(kPage, static_cast<std::uint64_t>(i)), {});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  {
    const auto disk = open("model 1", 10 * room);
    Bytes page(kPage), state;
    EXPECT_TRUE(disk->load(name(*disk, 0), page, state));
  }
  const auto disk = open("model 1", 4 * kFile);
  EXPECT_LE(disk->bytes(), 4 * kFile);
  EXPECT_TRUE(disk->has(name(*disk, 0))) << "used last";
  EXPECT_TRUE(disk->has(name(*disk, 9)));
  EXPECT_FALSE(disk->has(name(*disk, 1)));
  EXPECT_EQ(files().size(), 4U);
  store(*disk, 12);
  disk->flush();
  EXPECT_LE(disk->bytes(), 4 * kFile);
}

TEST_F(PrefixDiskTest, AClockThatWasSetBackDoesNotMakeTheLastUsedLookOld) {
  for (int i = 0; i < 3; ++i) store(*open(), i);
  const auto tomorrow = fs::file_time_type::clock::now() + std::chrono::hours(24);
  for (const fs::path& path : files()) fs::last_write_time(path, tomorrow);
  {
    const auto disk = open();
    EXPECT_TRUE(load(*disk, 1));
    store(*disk, 3);
  }
  const auto disk = open("model 1", 2 * (kFile + 20));
  EXPECT_TRUE(disk->has(name(*disk, 1)) && disk->has(name(*disk, 3)));
}

TEST_F(PrefixDiskTest, WritesAreBounded) {
  const auto disk = open("model 1", 100 * kFile);
  for (int i = 0; i < 100; ++i) disk->store(name(*disk, i), some_bytes(kPage, 1), {});
  disk->flush();
  EXPECT_GT(disk->written_bytes(), 20 * kFile);
  EXPECT_LE(disk->written_bytes(), 25 * kFile) << "a quarter of it at once";
}

TEST_F(PrefixDiskTest, WhatADeadWriterLeftIsRemoved) {
  store(*open(), 1);
  const fs::path folder = files().at(0).parent_path();
  std::ofstream(folder / ".tmp-999999999-0") << "half";
  std::ofstream(folder / (".tmp-" + std::to_string(::getppid()) + "-0")) << "another's";
  std::ofstream(folder / "README") << "not ours";
  const auto disk = open();
  EXPECT_FALSE(fs::exists(folder / ".tmp-999999999-0"));
  EXPECT_TRUE(fs::exists(folder / (".tmp-" + std::to_string(::getppid()) + "-0")));
  EXPECT_TRUE(fs::exists(folder / "README"));
  EXPECT_TRUE(load(*disk, 1));
}

TEST_F(PrefixDiskTest, AFileThatWentIsAMissWithoutALine) {
  const auto disk = open();
  store(*disk, 1);
  disk->flush();
  fs::remove(files().at(0));
  EXPECT_FALSE(load(*disk, 1));
  EXPECT_TRUE(log_.empty());
}

TEST_F(PrefixDiskTest, AFolderThatCannotBeWrittenIsAnErrorOrALine) {
  PrefixDiskOptions options;
  options.folder = "/proc/nowhere";
  options.bytes_max = 1000;
  const auto bad = PrefixDisk::open(options);
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message.find("/proc/nowhere"), std::string::npos) << bad.error().message;
  const auto disk = open();
  fs::remove_all(temp_ / "prefixes");
  std::ofstream(temp_ / "prefixes") << "in the way";
  store(*disk, 1);
  store(*disk, 2);
  disk->flush();
  EXPECT_EQ(log_.size(), 1U) << "said once, not for every page";
  EXPECT_FALSE(load(*disk, 1));
}

}  // namespace
}  // namespace deepwell
