#include "vid2vox/io/file.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using vid2vox::Error;
using vid2vox::io::AtomicFile;
using vid2vox::io::MemoryBytes;
using vid2vox::io::RandomAccessFile;
using vid2vox::testing::TemporaryFolder;

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST_CASE("an atomic file appears only when committed") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.bin";
  {
    AtomicFile file(path);
    file.write(std::string("half"));
    CHECK_FALSE(std::filesystem::exists(path));
  }
  CHECK(entries(folder.path()) == 0);
  AtomicFile file(path);
  file.write(std::string("whole"));
  file.commit();
  CHECK(contents(path) == "whole");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("an atomic file that fails leaves an older file alone") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.bin";
  std::ofstream(path) << "old";
  {
    AtomicFile file(path);
    file.write(std::string("new"));
  }
  CHECK(contents(path) == "old");
  CHECK_THROWS_AS(AtomicFile(folder.path() / "absent" / "out.bin"), Error);
}

TEST_CASE("random access reads what is there and names the file otherwise") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "in.bin";
  std::ofstream(path) << "0123456789";
  const RandomAccessFile file(path);
  CHECK(file.size() == 10);
  std::string piece(4, ' ');
  file.read_at(3, std::as_writable_bytes(std::span(piece)));
  CHECK(piece == "3456");
  CHECK_THROWS_WITH(file.read_at(8, std::as_writable_bytes(std::span(piece))),
                    Catch::Matchers::Contains("in.bin") && Catch::Matchers::Contains("truncated"));
  CHECK_THROWS_WITH(RandomAccessFile(folder.path() / "absent"),
                    Catch::Matchers::Contains("absent"));
  CHECK_THROWS_WITH(RandomAccessFile(folder.path()), Catch::Matchers::Contains("regular file"));
}

TEST_CASE("memory bytes refuse to read beyond their end") {
  const std::vector<std::byte> bytes(4, std::byte{7});
  const MemoryBytes memory(bytes, "there");
  std::vector<std::byte> out(2);
  memory.read_at(2, out);
  CHECK(out[1] == std::byte{7});
  CHECK_THROWS_AS(memory.read_at(3, out), Error);
  CHECK_THROWS_AS(memory.read_at(UINT64_MAX, out), Error);
}

TEST_CASE("a product that overflows is an error") {
  CHECK(vid2vox::io::checked_product(1ULL << 40U, 1ULL << 23U, "x") == 1ULL << 63U);
  CHECK_THROWS_AS(vid2vox::io::checked_product(1ULL << 40U, 1ULL << 24U, "x"), Error);
}

}  // namespace
