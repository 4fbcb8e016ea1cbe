// Queues of asynchronous copies: see shim_block.hpp. Compiled as shim.cpp.
#include "simt/shim_block.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX::simt::shim {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxCopies = 256;  // under way in a thread; ours

struct CopyQueue {
  Copy copies[kMaxCopies];
  int groups[kMaxCopies] = {};
  int first = 0;  // positions count on; the arrays are used in a ring
  int end = 0;
  int group = 0;  // number of the open group
};

CopyQueue queues[kMaxThreads];

CopyQueue& own_queue() { return queues[running_thread()]; }

}  // namespace

void push_copy(Copy copy) {
  CopyQueue& queue = own_queue();
  if (queue.end - queue.first == kMaxCopies) {
    fail("has too many asynchronous copies under way", "raise kMaxCopies");
  }
  queue.copies[queue.end % kMaxCopies] = copy;
  queue.groups[queue.end % kMaxCopies] = queue.group;
  ++queue.end;
}

void commit_copies() { ++own_queue().group; }

bool pop_copy(int pending, Copy& copy) {
  CopyQueue& queue = own_queue();
  // Groups before the open one are committed; the open one is not waited for.
  if (queue.first == queue.end) return false;
  if (queue.groups[queue.first % kMaxCopies] >= queue.group - pending) return false;
  copy = queue.copies[queue.first % kMaxCopies];
  ++queue.first;
  return true;
}

void clear_copies(int thread) {
  queues[thread].first = queues[thread].end = queues[thread].group = 0;
}

}  // namespace VID2VOX::simt::shim
