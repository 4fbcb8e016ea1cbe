#pragma once

namespace vid2vox::ops {

/// False for every device: makes the static_assert of an operation's primary template fire only
/// when somebody uses the operation on a device whose backend header is not included.
template <class Device>
inline constexpr bool kBackendIncluded = false;

}  // namespace vid2vox::ops
