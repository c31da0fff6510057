#pragma once

namespace fanin {

/// The names of an enum's values, in order, as Python has them: specialised beside the enum.
template <class E>
inline constexpr void* names = nullptr;

}  // namespace fanin
