#include "vid2vox/io/clips.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <string>

#include "support/catch.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::Batch;
using vid2vox::io::BatchReader;
using vid2vox::io::ClipOptions;
using vid2vox::io::ClipSet;
using vid2vox::io::FrameSource;
using vid2vox::io::MemoryFrames;

constexpr int kHeight = 2;
constexpr int kWidth = 4;
constexpr std::size_t kFrame = 24;
constexpr double kRate = 15;

/// A run whose frame f holds the byte start + f everywhere.
MemoryFrames::Run run_of(const std::string& name, std::size_t frames, std::size_t start) {
  MemoryFrames::Run run{name, {}};
  for (std::size_t f = 0; f < frames; ++f) {
    run.frames.insert(run.frames.end(), kFrame, static_cast<std::uint8_t>(start + f));
  }
  return run;
}

std::shared_ptr<const FrameSource> source_of(std::vector<std::size_t> lengths) {
  std::vector<MemoryFrames::Run> runs;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    runs.push_back(run_of("run" + std::to_string(r), lengths[r], 100 * r));
  }
  return std::make_shared<MemoryFrames>(std::move(runs), kHeight, kWidth, kRate);
}

TEST_CASE("clips: frames in memory come back, and requests are checked") {
  const auto source = source_of({5, 3});
  CHECK(source->run_count() == 2);
  CHECK(source->frame_count(1) == 3);
  CHECK(source->frame_bytes() == kFrame);
  std::vector<std::uint8_t> out(2 * kFrame);
  source->read_frames(1, 1, 2, out);
  CHECK(out.front() == 101);
  CHECK(out.back() == 102);
  CHECK_THROWS_WITH(source->read_frames(1, 2, 2, out), Contains("run1") && Contains("of 3"));
  CHECK_THROWS_AS(source->read_frames(2, 0, 2, out), Error);
  CHECK_THROWS_AS(source->read_frames(0, 0, 1, out), Error);
  CHECK_THROWS_AS(source->read_frames(0, std::numeric_limits<std::size_t>::max(), 2, out), Error);
  CHECK_THROWS_WITH(MemoryFrames({{"odd", std::vector<std::uint8_t>(25)}}, kHeight, kWidth, kRate),
                    Contains("odd"));
  CHECK_THROWS_AS(MemoryFrames({}, 0, kWidth, kRate), Error);
  CHECK_THROWS_AS(MemoryFrames({}, kHeight, kWidth, 0), Error);
}

TEST_CASE("clips: positions and times") {
  const ClipSet clips(source_of({10, 7}), ClipOptions{.frames = 4, .stride = 3});
  REQUIRE(clips.size() == 5);  // starts 0, 3, 6 and 0, 3
  CHECK(clips.info(2).run == 0);
  CHECK(clips.info(2).first_frame == 6);
  CHECK(clips.info(2).start_s == 6 / kRate);
  CHECK(clips.info(2).end_s == 9 / kRate);
  CHECK(clips.info(4).run == 1);
  CHECK(clips.info(4).first_frame == 3);
  std::vector<std::uint8_t> out(clips.clip_bytes());
  clips.read(4, out);
  CHECK(out.front() == 103);
  CHECK(out.back() == 106);
}

TEST_CASE("clips: runs can be chosen, and runs that are too short are reported") {
  const auto source = source_of({16, 15, 40});
  const ClipSet all(source);
  CHECK(all.size() == 3);
  REQUIRE(all.skipped_runs().size() == 1);
  CHECK(all.skipped_runs()[0] == "run1 (15 frames)");
  const ClipSet last(source, {}, std::vector<std::size_t>{2});
  REQUIRE(last.size() == 2);
  CHECK(last.info(0).run == 2);
  CHECK_THROWS_WITH(ClipSet(source, {}, std::vector<std::size_t>{1}), Contains("run1"));
  CHECK_THROWS_AS(ClipSet(source, {}, std::vector<std::size_t>{3}), Error);
  CHECK_THROWS_AS(ClipSet(source, ClipOptions{.frames = 0, .stride = 1}), Error);
  CHECK_THROWS_AS(ClipSet(source, ClipOptions{.frames = 1, .stride = 0}), Error);
}

ClipSet seven_clips() {
  return ClipSet(source_of({12, 16}), ClipOptions{.frames = 4, .stride = 4});
}

TEST_CASE("clips: every epoch shows every clip once, in another order") {
  BatchReader reader(seven_clips(), 3, 1);
  std::vector<std::size_t> shown;
  for (std::uint64_t step = 0; step < 7; ++step) {
    const Batch batch = reader.next();
    CHECK(batch.step == step);
    REQUIRE(batch.clips.size() == 3);
    REQUIRE(batch.frames.size() == 3 * reader.clips().clip_bytes());
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& info = reader.clips().info(batch.clips[i]);
      CHECK(batch.frames[i * reader.clips().clip_bytes()] == 100 * info.run + info.first_frame);
    }
    shown.insert(shown.end(), batch.clips.begin(), batch.clips.end());
  }
  std::set<std::vector<std::size_t>> orders;
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {
    const auto begin = shown.begin() + static_cast<std::ptrdiff_t>(7 * epoch);
    std::vector<std::size_t> order(begin, begin + 7);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6});
  }
  CHECK(orders.size() == 3);
}

TEST_CASE("clips: a reader that starts later continues the same batches") {
  BatchReader whole(seven_clips(), 3, 5);
  std::vector<Batch> batches;
  for (int i = 0; i < 12; ++i) batches.push_back(whole.next());
  BatchReader resumed(seven_clips(), 3, 5, 6, 1);
  for (std::size_t i = 6; i < 12; ++i) {
    const Batch batch = resumed.next();
    CHECK(batch.step == i);
    CHECK(batch.clips == batches[i].clips);
    CHECK(batch.frames == batches[i].frames);
  }
  BatchReader other(seven_clips(), 3, 6);
  bool differs = false;
  for (std::size_t i = 0; i < 6; ++i) differs = differs || other.next().clips != batches[i].clips;
  CHECK(differs);
}

TEST_CASE("clips: a batch may be larger than the set") {
  BatchReader reader(seven_clips(), 20, 0);
  std::vector<int> seen(7, 0);
  for (const std::size_t clip : reader.next().clips) ++seen[clip];
  CHECK(*std::min_element(seen.begin(), seen.end()) >= 2);
  CHECK_THROWS_AS(BatchReader(seven_clips(), 0, 0), Error);
}

/// Fails from the given number of reads on.
class FailingFrames : public MemoryFrames {
 public:
  explicit FailingFrames(int good)
      : MemoryFrames({run_of("worn tape", 64, 0)}, kHeight, kWidth, kRate), good_(good) {}
  void read_frames(std::size_t run, std::size_t first, std::size_t count,
                   std::span<std::uint8_t> out) const override {
    if (good_-- <= 0) throw Error("cannot be read", run_name(run), "get another tape");
    MemoryFrames::read_frames(run, first, count, out);
  }

 private:
  mutable int good_;
};

TEST_CASE("clips: an error while reading ahead reaches the caller, after the good batches") {
  BatchReader reader(ClipSet(std::make_shared<FailingFrames>(4)), 2, 0);
  CHECK(reader.next().step == 0);
  CHECK(reader.next().step == 1);
  CHECK_THROWS_WITH(reader.next(), Contains("worn tape"));
  CHECK_THROWS_AS(reader.next(), Error);
}

TEST_CASE("clips: destroying a reader does not wait for anybody") {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    BatchReader reader(seven_clips(), 1, 0);
    if (i % 3 == 0) reader.next();
    if (i % 3 == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // full queue
  }
  BatchReader failed(ClipSet(std::make_shared<FailingFrames>(0)), 1, 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEMPLATE_TEST_CASE("clips: bytes to [-0.5, 0.5] and back", "", float, double) {
  std::vector<std::uint8_t> bytes(256);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  std::vector<TestType> values(256);
  vid2vox::io::normalize_frames<TestType>(bytes, values);
  CHECK(values.front() == TestType(-0.5));
  CHECK(values.back() == TestType(0.5));
  CHECK(values[51] == TestType(51) / TestType(255) - TestType(0.5));
  std::vector<std::uint8_t> back(256);
  vid2vox::io::frames_to_bytes<TestType>(values, back);
  CHECK(back == bytes);
  const std::vector<TestType> wild{-7, 7, std::numeric_limits<TestType>::quiet_NaN(),
                                   std::numeric_limits<TestType>::infinity()};
  std::vector<std::uint8_t> tamed(4);
  vid2vox::io::frames_to_bytes<TestType>(wild, tamed);
  CHECK(tamed == std::vector<std::uint8_t>{0, 255, 0, 255});
  CHECK_THROWS_AS(vid2vox::io::normalize_frames<TestType>(tamed, values), Error);
  CHECK_THROWS_AS(vid2vox::io::frames_to_bytes<TestType>(values, tamed), Error);
}

}  // namespace
