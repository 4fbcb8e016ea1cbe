#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"

namespace VID2VOX::io {

/// Runs of video frames of one size and one frame rate. All member functions may be called from
/// several threads at a time.
class FrameSource {
 public:
  FrameSource() = default;
  FrameSource(const FrameSource&) = delete;
  FrameSource& operator=(const FrameSource&) = delete;
  virtual ~FrameSource() = default;

  [[nodiscard]] virtual std::size_t run_count() const = 0;
  [[nodiscard]] virtual std::string run_name(std::size_t run) const = 0;
  [[nodiscard]] virtual std::size_t frame_count(std::size_t run) const = 0;
  /// Kept frames per second (Hz).
  [[nodiscard]] virtual double frame_rate() const = 0;
  [[nodiscard]] virtual int height() const = 0;
  [[nodiscard]] virtual int width() const = 0;
  /// Frames first .. first+count-1 of a run into out: [count, height, width, 3], RGB.
  /// Throws Error if the run or the frames do not exist or out has another size.
  virtual void read_frames(std::size_t run, std::size_t first, std::size_t count,
                           std::span<std::uint8_t> out) const = 0;

  /// Bytes of one frame.
  [[nodiscard]] std::size_t frame_bytes() const {
    constexpr std::size_t kColors = 3;
    return static_cast<std::size_t>(height()) * static_cast<std::size_t>(width()) * kColors;
  }

 protected:
  /// What every read_frames checks first.
  void check_request(std::size_t run, std::size_t first, std::size_t count,
                     std::size_t out_size) const {
    if (run >= run_count()) {
      throw Error("run " + std::to_string(run) + " of " + std::to_string(run_count()),
                  "vid2vox::io::FrameSource", "runs count from 0");
    }
    const std::size_t available = frame_count(run);
    if (first > available || count > available - first) {
      throw Error("frames " + std::to_string(first) + " to " + std::to_string(first + count) +
                      " (excluded) of a run of " + std::to_string(available),
                  run_name(run), "ask for frames that exist");
    }
    if (out_size != count * frame_bytes()) {
      throw Error("the output holds " + std::to_string(out_size) + " bytes, not the " +
                      std::to_string(count * frame_bytes()) + " of " + std::to_string(count) +
                      " frames",
                  run_name(run), "give [count, height, width, 3] bytes");
    }
  }
};

/// Frames given as arrays.
class MemoryFrames : public FrameSource {
 public:
  struct Run {
    std::string name;
    std::vector<std::uint8_t> frames;  // [frames, height, width, 3]
  };

  /// Throws Error if a run's size is no multiple of a frame's.
  MemoryFrames(std::vector<Run> runs, int height, int width, double frame_rate)
      : runs_(std::move(runs)), height_(height), width_(width), frame_rate_(frame_rate) {
    if (height <= 0 || width <= 0 || !(frame_rate > 0)) {
      throw Error("frame size and rate must be positive", "vid2vox::io::MemoryFrames",
                  "give height, width and frame rate above 0");
    }
    for (const Run& run : runs_) {
      if (run.frames.size() % frame_bytes() != 0) {
        throw Error(std::to_string(run.frames.size()) + " bytes are no whole number of frames of " +
                        std::to_string(frame_bytes()),
                    run.name, "give [frames, height, width, 3] bytes");
      }
    }
  }

  [[nodiscard]] std::size_t run_count() const override { return runs_.size(); }
  [[nodiscard]] std::string run_name(std::size_t run) const override { return runs_.at(run).name; }
  [[nodiscard]] std::size_t frame_count(std::size_t run) const override {
    return runs_.at(run).frames.size() / frame_bytes();
  }
  [[nodiscard]] double frame_rate() const override { return frame_rate_; }
  [[nodiscard]] int height() const override { return height_; }
  [[nodiscard]] int width() const override { return width_; }
  void read_frames(std::size_t run, std::size_t first, std::size_t count,
                   std::span<std::uint8_t> out) const override {
    check_request(run, first, count, out.size());
    std::copy_n(runs_[run].frames.data() + first * frame_bytes(), out.size(), out.data());
  }

 private:
  std::vector<Run> runs_;
  int height_;
  int width_;
  double frame_rate_;
};

/// How runs are cut into clips: `frames` a clip, a new clip every `stride` frames.
struct ClipOptions {
  int frames = 16;
  int stride = 16;
};

/// Where a clip lies. Times in seconds from the start of the run: of its first and its last frame.
struct ClipInfo {
  std::size_t run = 0;
  std::size_t first_frame = 0;
  double start_s = 0;
  double end_s = 0;
};

/// The clips of a frame source, in the order of runs and time. Frames after a run's last whole clip
/// are unused. Copies share the source.
class ClipSet {
 public:
  /// `runs`: the runs to use, all if absent. A run shorter than one clip is left out and listed in
  /// skipped_runs(); if no run is long enough, throws Error naming the runs.
  explicit ClipSet(std::shared_ptr<const FrameSource> source, ClipOptions options = {},
                   std::optional<std::vector<std::size_t>> runs = std::nullopt)
      : source_(std::move(source)), options_(options) {
    if (options.frames < 1 || options.stride < 1) {
      throw Error("clips need at least 1 frame and stride 1", "vid2vox::io::ClipSet",
                  "correct the clip options");
    }
    if (!runs) {
      runs.emplace(source_->run_count());
      std::iota(runs->begin(), runs->end(), std::size_t{0});
    }
    const auto length = static_cast<std::size_t>(options.frames);
    std::string names;
    for (const std::size_t run : *runs) {
      if (run >= source_->run_count()) {
        throw Error("run " + std::to_string(run) + " of " + std::to_string(source_->run_count()),
                    "vid2vox::io::ClipSet", "runs count from 0");
      }
      const std::size_t frames = source_->frame_count(run);
      for (std::size_t first = 0; first + length <= frames;
           first += static_cast<std::size_t>(options.stride)) {
        clips_.push_back(describe(run, first));
      }
      if (frames < length) {
        skipped_.push_back(source_->run_name(run) + " (" + std::to_string(frames) + " frames)");
        names += (names.empty() ? "" : ", ") + skipped_.back();
      }
    }
    if (clips_.empty()) {
      throw Error("no run has the " + std::to_string(options.frames) + " frames of one clip",
                  names.empty() ? "vid2vox::io::ClipSet" : names,
                  "give longer videos, a smaller frame step or shorter clips");
    }
  }

  [[nodiscard]] std::size_t size() const { return clips_.size(); }
  [[nodiscard]] const ClipInfo& info(std::size_t clip) const { return clips_.at(clip); }
  [[nodiscard]] const FrameSource& source() const { return *source_; }
  [[nodiscard]] const ClipOptions& options() const { return options_; }
  /// "name (frames)" of every run too short for one clip.
  [[nodiscard]] const std::vector<std::string>& skipped_runs() const { return skipped_; }
  /// Bytes of one clip.
  [[nodiscard]] std::size_t clip_bytes() const {
    return static_cast<std::size_t>(options_.frames) * source_->frame_bytes();
  }

  /// out: [frames, height, width, 3]
  void read(std::size_t clip, std::span<std::uint8_t> out) const {
    const ClipInfo& where = info(clip);
    source_->read_frames(where.run, where.first_frame, static_cast<std::size_t>(options_.frames),
                         out);
  }

 private:
  [[nodiscard]] ClipInfo describe(std::size_t run, std::size_t first) const {
    const double rate = source_->frame_rate();
    const auto last = first + static_cast<std::size_t>(options_.frames) - 1;
    return {.run = run,
            .first_frame = first,
            .start_s = static_cast<double>(first) / rate,
            .end_s = static_cast<double>(last) / rate};
  }

  std::shared_ptr<const FrameSource> source_;
  ClipOptions options_;
  std::vector<ClipInfo> clips_;
  std::vector<std::string> skipped_;
};

/// One training batch.
struct Batch {
  std::uint64_t step = 0;
  std::vector<std::uint8_t> frames;  // [batch, t, h, w, 3]
  std::vector<std::size_t> clips;    // indices into the clip set
};

/// The clip at a position of the endless sequence epoch 0, epoch 1, ..., where epoch e is the
/// permutation of all clips keyed by (seed, e).
class ClipOrder {
 public:
  ClipOrder(std::size_t clips, std::uint64_t seed) : seed_(seed), order_(clips) {}

  std::size_t operator()(std::uint64_t position) {
    const std::uint64_t epoch = position / order_.size();
    if (epoch_ != epoch) {
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      shuffle(order_, RandomKey{seed_, epoch, stream_of("clips")});
      epoch_ = epoch;
    }
    return order_[static_cast<std::size_t>(position % order_.size())];
  }

 private:
  std::uint64_t seed_;
  std::optional<std::uint64_t> epoch_;
  std::vector<std::size_t> order_;
};

/// Reads shuffled batches ahead in a thread. The batch of step s is a function of (seed, s) alone:
/// batches walk through the concatenated epochs of ClipOrder, so a reader that starts at step s
/// continues where another stopped.
class BatchReader {
 public:
  static constexpr std::size_t kDefaultAhead = 4;  // batches held ready

  BatchReader(ClipSet clips, std::size_t batch, std::uint64_t seed, std::uint64_t first_step = 0,
              std::size_t ahead = kDefaultAhead)
      : clips_(std::move(clips)),
        batch_(batch),
        ahead_(std::max<std::size_t>(ahead, 1)),
        order_(clips_.size(), seed) {
    if (batch == 0) {
      throw Error("a batch needs at least 1 clip", "vid2vox::io::BatchReader",
                  "give a batch size above 0");
    }
    thread_ = std::thread([this, first_step] { work(first_step); });
  }
  BatchReader(const BatchReader&) = delete;
  BatchReader& operator=(const BatchReader&) = delete;
  ~BatchReader() {
    {
      const std::scoped_lock lock(guard_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// The next batch, waiting for it if need be. Rethrows what reading threw, once the batches
  /// before it have been handed out, and again on every later call.
  Batch next() {
    std::unique_lock lock(guard_);
    changed_.wait(lock, [&] { return !ready_.empty() || failure_; });
    if (ready_.empty()) std::rethrow_exception(failure_);
    Batch result = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return result;
  }

  [[nodiscard]] const ClipSet& clips() const { return clips_; }

 private:
  void work(std::uint64_t step) {
    try {
      for (;; ++step) {
        {
          std::unique_lock lock(guard_);
          changed_.wait(lock, [&] { return stop_ || ready_.size() < ahead_; });
          if (stop_) return;
        }
        Batch result = read_batch(step);
        {
          const std::scoped_lock lock(guard_);
          ready_.push_back(std::move(result));
        }
        changed_.notify_all();
      }
    } catch (...) {
      const std::scoped_lock lock(guard_);
      failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  Batch read_batch(std::uint64_t step) {
    Batch result{.step = step, .frames = {}, .clips = {}};
    const std::size_t bytes = clips_.clip_bytes();
    result.frames.resize(batch_ * bytes);
    for (std::size_t i = 0; i < batch_; ++i) {
      result.clips.push_back(order_(step * batch_ + i));
      clips_.read(result.clips.back(), std::span(result.frames).subspan(i * bytes, bytes));
    }
    return result;
  }

  ClipSet clips_;
  std::size_t batch_;
  std::size_t ahead_;
  ClipOrder order_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread thread_;
};

/// v/255 - 0.5: bytes to the models' input range [-0.5, 0.5]. Spans of equal size.
template <class T>
void normalize_frames(std::span<const std::uint8_t> frames, std::span<T> out) {
  if (frames.size() != out.size()) {
    throw Error(
        std::to_string(frames.size()) + " bytes into " + std::to_string(out.size()) + " values",
        "vid2vox::io::normalize_frames", "give spans of equal size");
  }
  constexpr T kLargestByte = 255;
  constexpr T kHalf = 0.5;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    out[i] = static_cast<T>(frames[i]) / kLargestByte - kHalf;
  }
}

/// The inverse: rounds (x + 0.5) * 255 to the nearest byte; values outside are clipped; NaN
/// gives 0.
template <class T>
void frames_to_bytes(std::span<const T> values, std::span<std::uint8_t> out) {
  if (values.size() != out.size()) {
    throw Error(
        std::to_string(values.size()) + " values into " + std::to_string(out.size()) + " bytes",
        "vid2vox::io::frames_to_bytes", "give spans of equal size");
  }
  constexpr T kLargestByte = 255;
  constexpr T kHalf = 0.5;
  for (std::size_t i = 0; i < values.size(); ++i) {
    // In this order, NaN stays NaN and fails the comparison that follows.
    const T scaled = std::min((values[i] + kHalf) * kLargestByte + kHalf, kLargestByte);
    out[i] = scaled > 0 ? static_cast<std::uint8_t>(scaled) : std::uint8_t{0};
  }
}

}  // namespace VID2VOX::io
