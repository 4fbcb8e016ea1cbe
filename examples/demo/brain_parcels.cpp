// The simulated brain's parcels, and the file that describes them.

#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "demo/brain_simulator.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"

namespace vid2vox::demo {

namespace {

constexpr std::array<const char*, 8> kDriverNames = {"none",   "contrast", "luminance", "motion",
                                                     "reward", "key left", "key right", "key jump"};
constexpr const char* kHeader =
    "label\tdriver\themisphere\tx\ty\tsignal_to_noise\tceiling_r\tfield_left\tfield_top\t"
    "field_right\tfield_bottom";

/// A parcel of the right hemisphere, which sees the left half of the picture.
struct Site {
  const char* label;
  Driver driver;
  double x, y, signal_to_noise;
  VisualField field;
};

constexpr VisualField kWhole{0, 0, 1, 1};
constexpr VisualField kHalf{0, 0, 0.5, 1};
constexpr VisualField kUpper{0, 0, 0.5, 0.5};
constexpr VisualField kLower{0, 0.5, 0.5, 1};
constexpr VisualField kCentre{0.25, 0.25, 0.75, 0.75};

// Places follow a lateral view of the MNI brain. The early visual areas lie around the occipital
// pole, upper field ventral, lower field dorsal (Wandell et al. 2007, Neuron 56:366).
constexpr std::array<Site, 8> kVisualSites = {{
    {"V1 fovea", Driver::kContrast, 0.045, 0.42, 1.2, kCentre},
    {"V1 dorsal", Driver::kContrast, 0.09, 0.56, 1.2, kLower},
    {"V1 ventral", Driver::kContrast, 0.10, 0.29, 1.2, kUpper},
    {"V3", Driver::kContrast, 0.17, 0.43, 1.0, kHalf},
    {"LO", Driver::kLuminance, 0.22, 0.27, 1.0, kWhole},
    {"MT", Driver::kMotion, 0.29, 0.38, 1.2, kHalf},
    {"MST", Driver::kMotion, 0.33, 0.50, 1.0, kWhole},
    {"V3A", Driver::kMotion, 0.18, 0.66, 1.0, kLower},
}};

constexpr std::array<Site, 2> kRewardSites = {{
    {"ventral striatum", Driver::kReward, 0.74, 0.35, 1.0, kWhole},
    {"orbitofrontal", Driver::kReward, 0.88, 0.33, 0.8, kWhole},
}};

struct HandSite {
  const char* label;
  double x, y;
  Driver right_hand, left_hand;  // by the hand whose keys drive it
};
// Left thumb: direction keys, right thumb: jump.
constexpr std::array<HandSite, 2> kHandSites = {{
    {"M1 hand", 0.56, 0.84, Driver::kKeyJump, Driver::kKeyLeft},
    {"S1 hand", 0.45, 0.84, Driver::kKeyJump, Driver::kKeyRight},
}};

struct QuietSite {
  const char* label;
  double x, y;
};
constexpr std::array<QuietSite, 12> kQuietSites = {{
    {"SPL", 0.32, 0.84},
    {"angular", 0.28, 0.68},
    {"supramarginal", 0.40, 0.63},
    {"STG posterior", 0.44, 0.43},
    {"STG anterior", 0.60, 0.33},
    {"MTG", 0.46, 0.29},
    {"ITG", 0.40, 0.17},
    {"temporal pole", 0.66, 0.20},
    {"IFG", 0.74, 0.52},
    {"DLPFC", 0.79, 0.67},
    {"SFG", 0.70, 0.85},
    {"frontal pole", 0.94, 0.53},
}};

VisualField mirrored(const VisualField& field) {
  return {1 - field.right, field.top, 1 - field.left, field.bottom};
}

bool is_key(Driver driver) { return driver >= Driver::kKeyLeft; }

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, '\t');) cells.push_back(cell);
  return cells;
}

Parcel parse_row(const std::string& line, const std::string& where) {
  constexpr std::size_t kColumns = 11;
  const std::vector<std::string> cells = split(line);
  if (cells.size() != kColumns || (cells[2] != "L" && cells[2] != "R")) {
    throw Error("not a parcel: '" + line + "'", where, "write the file with simulate_bold");
  }
  Parcel parcel;
  parcel.label = cells[0];
  parcel.hemisphere = cells[2][0];
  std::size_t driver = 0;
  while (driver < kDriverNames.size() && cells[1] != kDriverNames[driver]) ++driver;
  if (driver == kDriverNames.size()) {
    throw Error("unknown driver '" + cells[1] + "'", where, "write the file with simulate_bold");
  }
  parcel.driver = static_cast<Driver>(driver);
  std::array<double, kColumns> numbers{};
  for (std::size_t i = 3; i < kColumns; ++i) {
    std::size_t used = 0;
    try {
      numbers[i] = std::stod(cells[i], &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used != cells[i].size() || cells[i].empty()) {
      throw Error("'" + cells[i] + "' is not a number", where, "correct the file");
    }
  }
  parcel.x = numbers[3];
  parcel.y = numbers[4];
  parcel.signal_to_noise = numbers[5];
  parcel.field = {numbers[7], numbers[8], numbers[9], numbers[10]};
  return parcel;
}

}  // namespace

const char* driver_name(Driver driver) { return kDriverNames[static_cast<std::size_t>(driver)]; }

double Parcel::ceiling() const {
  return signal_to_noise / std::sqrt(1 + signal_to_noise * signal_to_noise);
}

std::vector<Parcel> standard_parcels(bool has_keys, bool has_rewards) {
  std::vector<Parcel> parcels;
  for (const char hemisphere : {'L', 'R'}) {
    const bool is_left = hemisphere == 'L';
    const auto add = [&](const Site& site) {
      const bool driven = site.driver != Driver::kNone && (has_keys || !is_key(site.driver)) &&
                          (has_rewards || site.driver != Driver::kReward);
      parcels.push_back({.label = std::string(1, hemisphere) + " " + site.label,
                         .driver = driven ? site.driver : Driver::kNone,
                         .field = is_left ? mirrored(site.field) : site.field,
                         .hemisphere = hemisphere,
                         .x = site.x,
                         .y = site.y,
                         .signal_to_noise = driven ? site.signal_to_noise : 0});
    };
    for (const Site& site : kVisualSites) add(site);
    for (const HandSite& hand : kHandSites) {
      add({hand.label, is_left ? hand.right_hand : hand.left_hand, hand.x, hand.y, 1.0, kWhole});
    }
    for (const Site& site : kRewardSites) add(site);
    for (const QuietSite& quiet : kQuietSites) {
      add({quiet.label, Driver::kNone, quiet.x, quiet.y, 0, kWhole});
    }
  }
  return parcels;
}

void write_parcels(const std::filesystem::path& path, const std::vector<Parcel>& parcels) {
  std::ostringstream text;
  text << kHeader << '\n';
  for (const Parcel& p : parcels) {
    text << p.label << '\t' << driver_name(p.driver) << '\t' << p.hemisphere << '\t' << p.x << '\t'
         << p.y << '\t' << p.signal_to_noise << '\t' << p.ceiling() << '\t' << p.field.left << '\t'
         << p.field.top << '\t' << p.field.right << '\t' << p.field.bottom << '\n';
  }
  io::AtomicFile file(path);
  file.write(text.str());
  file.commit();
}

std::vector<Parcel> read_parcels(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kHeader) {
    throw Error("not a table of parcels", path.string(), "give the parcels.tsv of simulate_bold");
  }
  std::vector<Parcel> parcels;
  while (std::getline(file, line)) {
    parcels.push_back(
        parse_row(line, path.string() + ", row " + std::to_string(parcels.size() + 1)));
  }
  return parcels;
}

}  // namespace vid2vox::demo
