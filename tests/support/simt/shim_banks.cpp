// Compiled without instrumentation: see shim_banks.hpp.
#include "simt/shim_banks.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "simt/shim_banks_record.hpp"
#include "simt/shim_block.hpp"
#include "vid2vox/core/isa.hpp"

// The text of a macro's expansion.
#define VID2VOX_BANKS_QUOTED(text) #text
#define VID2VOX_BANKS_TEXT_OF(macro) VID2VOX_BANKS_QUOTED(macro)

namespace VID2VOX::simt::shim {
namespace {

/// A place in a kernel's code, which is reached through the calls at the places above it.
struct Place {
  Place* above = nullptr;
  std::map<std::pair<const void*, int>, std::unique_ptr<Place>> below;  // by address and bytes
  BankSite counts;

  Place* at(const void* address, int bytes) {
    auto& place = below[{address, bytes}];
    if (!place) {
      place = std::make_unique<Place>();
      place->above = this;
      place->counts.path = counts.path;
      place->counts.path.push_back(address);
      place->counts.bytes = bytes;
    }
    return place.get();
  }
};

/// One access of a warp.
struct Access {
  unsigned lanes = 0;
  std::uintptr_t at[kWarpSize] = {};
};

/// Where a warp's accesses belong that its lanes may have made together.
struct AccessKey {
  Place* place;
  int warp;
  std::uint64_t meetings;
  bool operator==(const AccessKey&) const = default;
};
struct AccessHash {
  std::size_t operator()(const AccessKey& key) const {
    constexpr std::size_t kFactor = 0x9E3779B97F4A7C15U;  // of Fibonacci hashing (Knuth 6.4)
    std::size_t hash = reinterpret_cast<std::uintptr_t>(key.place);
    hash = (hash + key.meetings) * kFactor;
    return (hash + static_cast<std::size_t>(key.warp)) * kFactor;
  }
};

struct Recorder {
  std::map<const void*, Place> kernels;  // by the kernel's address
  std::vector<Place*> now;               // where the block's threads are; empty between blocks
  // Of the block: element n is what the lanes did the n-th time.
  std::unordered_map<AccessKey, std::vector<Access>, AccessHash> accesses;
};

Recorder& recorder() {
  static auto* const the_recorder = new Recorder();
  return *the_recorder;
}

void end_block() {
  Recorder& all = recorder();
  for (const auto& [key, times] : all.accesses) {
    BankSite& counts = key.place->counts;
    for (const Access& access : times) {
      const int excess = excess_wavefronts(access.lanes, access.at, counts.bytes);
      ++counts.accesses;
      counts.excess += static_cast<std::uint64_t>(excess);
      counts.worst = std::max(counts.worst, excess);
    }
  }
  all.accesses.clear();
  all.now.clear();
}

/// Where the running thread is.
Place*& current_place() {
  Recorder& all = recorder();
  if (all.now.empty()) {
    const Launch& launch = *running_launch();
    const auto threads = std::size_t{launch.block.x} * launch.block.y * launch.block.z;
    all.now.assign(threads, &all.kernels[*static_cast<const void* const*>(launch.kernel)]);
    at_end_of_block = end_block;
  }
  return all.now[static_cast<std::size_t>(running_thread())];
}

/// Without the types of the parameters and our namespaces.
std::string name_of(const void* kernel) {
  Dl_info info{};
  if (dladdr(kernel, &info) == 0 || info.dli_sname == nullptr) return "unknown kernel";
  int status = 0;
  char* const text = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = status == 0 ? text : info.dli_sname;
  std::free(text);
  name.resize(std::min(name.size(), name.rfind('(')));
  const std::string isa = std::string(VID2VOX_BANKS_TEXT_OF(VID2VOX_ISA)) + "::";
  for (const std::string& left_out : {std::string("void "), std::string("vid2vox::"), isa,
                                      std::string("backend::cuda::"), std::string("pointwise::")}) {
    for (auto at = name.find(left_out); at != std::string::npos; at = name.find(left_out)) {
      name.erase(at, left_out.size());
    }
  }
  return name;
}

void collect(const Place& place, std::vector<BankSite>& sites) {
  if (place.counts.accesses != 0) sites.push_back(place.counts);
  for (const auto& [key, below] : place.below) collect(*below, sites);
}

/// What addr2line writes about the call before a return address.
std::string lines_of(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0) return {};
  const auto offset = static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase);
  std::ostringstream command;
  command << "addr2line -Cfips -e /proc/" << getpid() << "/exe " << std::hex << offset - 1
          << " 2>/dev/null";
  std::string text;
  FILE* const lines = popen(command.str().c_str(), "r");
  if (lines == nullptr) return {};
  std::array<char, 4096> line{};
  while (std::fgets(line.data(), line.size(), lines) != nullptr) {
    text += std::string("    ") + line.data();
  }
  pclose(lines);
  return text;
}

}  // namespace

// --- What the instrumentation calls --------------------------------------------------------------

void record_call(const void* from) {
  if (running_launch() == nullptr) return;
  Place*& place = current_place();
  place = place->at(from, 0);
}

void record_return() {
  if (running_launch() == nullptr) return;
  Place*& place = current_place();
  if (place->above != nullptr) place = place->above;
}

void record_access(const void* from, const void* address, int bytes) {
  if (!is_shared(address)) return;
  const int thread = running_thread();
  const unsigned lane = 1U << (thread % kWarpSize);
  const AccessKey key{current_place()->at(from, bytes), thread / kWarpSize, meetings_of_thread()};
  std::vector<Access>& times = recorder().accesses[key];
  const auto free = std::find_if(times.begin(), times.end(),
                                 [=](const Access& one) { return (one.lanes & lane) == 0; });
  Access& access = free == times.end() ? times.emplace_back() : *free;
  access.lanes |= lane;
  access.at[thread % kWarpSize] = reinterpret_cast<std::uintptr_t>(address);
}

// --- The counts ----------------------------------------------------------------------------------

std::uint64_t BankCounts::accesses() const {
  std::uint64_t sum = 0;
  for (const BankSite& site : sites) sum += site.accesses;
  return sum;
}

std::uint64_t BankCounts::excess() const {
  std::uint64_t sum = 0;
  for (const BankSite& site : sites) sum += site.excess;
  return sum;
}

int excess_wavefronts(unsigned lanes, const std::uintptr_t (&at)[kWarpSize], int bytes) {
  constexpr int kBanks = 32;
  constexpr int kWordBytes = 4;
  constexpr int kWavefrontBytes = kBanks * kWordBytes;
  const int together = std::min(kWarpSize, kWavefrontBytes / bytes);
  int excess = 0;
  for (int first = 0; first < kWarpSize; first += together) {
    std::vector<std::uintptr_t> words[kBanks];
    std::size_t most = 1;
    for (int i = first; i < first + together; ++i) {
      if ((lanes >> i & 1U) == 0) continue;
      for (auto word = at[i] / kWordBytes; word * kWordBytes < at[i] + std::uintptr_t(bytes);
           ++word) {
        auto& bank = words[word % kBanks];
        if (std::find(bank.begin(), bank.end(), word) == bank.end()) bank.push_back(word);
        most = std::max(most, bank.size());
      }
    }
    excess += static_cast<int>(most) - 1;
  }
  return excess;
}

std::vector<BankCounts> take_bank_counts() {
  std::vector<BankCounts> result;
  for (const auto& [kernel, root] : recorder().kernels) {
    BankCounts counts{name_of(kernel), {}};
    collect(root, counts.sites);
    if (!counts.sites.empty()) result.push_back(std::move(counts));
  }
  recorder().kernels.clear();
  std::sort(result.begin(), result.end(),
            [](const BankCounts& a, const BankCounts& b) { return a.kernel < b.kernel; });
  return result;
}

std::string text_of_conflicts(const BankCounts& counts) {
  std::string text = counts.kernel + ": " + std::to_string(counts.excess()) +
                     " wavefronts too many in " + std::to_string(counts.accesses()) + " accesses\n";
  for (const BankSite& site : counts.sites) {
    if (site.excess == 0) continue;
    text += "  " + std::to_string(site.excess) + " in " + std::to_string(site.accesses) +
            " accesses of " + std::to_string(site.bytes) + " bytes, at most " +
            std::to_string(site.worst) + " in one\n";
    for (auto place = site.path.rbegin(); place != site.path.rend(); ++place) {
      text += lines_of(*place);
    }
  }
  return text;
}

}  // namespace VID2VOX::simt::shim
