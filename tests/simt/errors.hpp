#pragma once

#include <string>

#include "vid2vox/core/error.hpp"

/// What the call complains about; empty when it does not.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const vid2vox::Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
