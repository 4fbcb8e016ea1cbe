#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "vid2vox/report/curves.hpp"

namespace vid2vox::runtime {

/// The training and validation losses of a loss.csv as one panel, training smoothed.
inline report::Panel loss_panel(const std::filesystem::path& csv, const std::string& title,
                                bool log_y) {
  report::Panel panel;
  panel.title = title;
  panel.x_label = "training step";
  panel.y_label = "loss";
  panel.log_y = log_y;
  report::Series training{.name = "training", .x = {}, .y = {}};
  report::Series validation{.name = "validation", .x = {}, .y = {}};
  std::ifstream file(csv);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    const std::size_t split = line.find(',') + 1;
    const std::size_t loss = line.find(',', split) + 1;
    auto& series = line.compare(split, loss - split, "train,") == 0 ? training : validation;
    series.x.push_back(std::stod(line));
    series.y.push_back(std::stod(line.substr(loss)));
  }
  constexpr std::size_t kHalfWindow = 4;
  training.y = report::smooth(training.y, kHalfWindow);
  panel.series.push_back(std::move(training));
  if (!validation.x.empty()) panel.series.push_back(std::move(validation));
  return panel;
}

}  // namespace vid2vox::runtime
