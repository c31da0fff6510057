#pragma once
#include "core/view.hpp"

namespace fanin {

// The workspace of a WarpImage holds the last stage's window with a border, so that every tap is
// inside: one pixel before and two after, in each direction. u8: one plane of 4-byte pixels, the
// channels in order from the lowest byte; f32: a plane a channel.
inline constexpr index border_before = 1, border_after = 2;

FANIN_INLINE index warp_pitch(index width) { return width + border_before + border_after; }
FANIN_INLINE index warp_rows(index height) { return height + border_before + border_after; }

}  // namespace fanin
