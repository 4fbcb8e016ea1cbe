// Frames in memory -> clips with their times -> shuffled batches, read ahead, as a model takes
// them. io::VideoFrames (component vid2vox::video) is the same for video files.

#include <cstdio>
#include <memory>
#include <span>
#include <vector>

#include "vid2vox/io/clips.hpp"

int main() {
  using namespace vid2vox;
  constexpr int kSide = 8;
  constexpr std::size_t kFrames = 90;
  constexpr double kHz = 15;

  // Two runs of 6 s: a gray that brightens by one level per frame.
  std::vector<io::MemoryFrames::Run> runs;
  for (const char* name : {"run-01", "run-02"}) {
    std::vector<std::uint8_t> frames(kFrames * kSide * kSide * 3);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      frames[i] = static_cast<std::uint8_t>(i / (kSide * kSide * 3));
    }
    runs.push_back({name, std::move(frames)});
  }
  const auto source = std::make_shared<io::MemoryFrames>(std::move(runs), kSide, kSide, kHz);

  // Clips of 16 frames; a new one every 8, so that they overlap by half.
  const io::ClipSet clips(source, {.frames = 16, .stride = 8});
  std::printf("%zu clips of %zu bytes\n", clips.size(), clips.clip_bytes());
  const io::ClipInfo& third = clips.info(2);
  std::printf("clip 2: %s, frame %zu, %.2f s to %.2f s\n",
              clips.source().run_name(third.run).c_str(), third.first_frame, third.start_s,
              third.end_s);

  // The batch of a step depends on the seed and the step only: a resumed training sees the same.
  io::BatchReader reader(clips, /*batch=*/4, /*seed=*/1);
  const io::Batch first = reader.next();
  io::BatchReader resumed(clips, 4, 1, /*first_step=*/1);
  const bool same = reader.next().frames == resumed.next().frames;
  std::printf("step %llu: %zu clips, step 1 again after a restart: %s\n",
              static_cast<unsigned long long>(first.step), first.clips.size(),
              same ? "the same" : "another");

  // Bytes to the models' range [-0.5, 0.5], and back.
  std::vector<float> values(first.frames.size());
  std::vector<std::uint8_t> bytes(values.size());
  io::normalize_frames<float>(first.frames, values);
  io::frames_to_bytes<float>(values, bytes);
  std::printf("back to bytes: %s\n", bytes == first.frames ? "the same" : "another");
}
