#pragma once
#include "kernels/image_geometry.hpp"

namespace fanin {

/// Where things lie in the workspace of a ResizeImage, in floats from its start. A block is 16
/// pixels of an output row, whose sources begin at its base.
struct ResizeWorkspace {
  index blocks;
  index plane;        // of one channel of a converted source row, with space to read beyond
  index ring;         // of one channel of a resampled row
  index state;        // ResizeState
  index bases;        // std::int32_t (blocks)
  index block_taps;   // std::int32_t (blocks): up to the last with a weight
  index offsets;      // std::int32_t (blocks, 16), from the base
  index weights;      // (blocks, columns.taps, 16)
  index held;         // std::int32_t (rows.taps): which source row a slot of the ring holds
  index places;       // std::int32_t (rows.taps): of an output row's sources with a weight, in rows
  index row_weights;  // and their weights (rows.taps)
  index row;          // (channels, plane)
  index rows;         // (rows.taps, channels, ring)
  index size;
};

struct ResizeState {
  index next;       // the output row at which the last call ended
  index low, high;  // the source's columns in use
  index span;       // of source columns, at most, in a block
  index ahead;      // how many rows further what is prefetched lies
  bool fills;       // some column is a fill
};

inline constexpr index widest_window = 64;  // floats that a block may read from its base

FANIN_INLINE ResizeWorkspace resize_layout(const ResizeImage& a) {
  ResizeWorkspace r{};
  r.blocks = (a.columns.n + 15) / 16;
  r.plane = (a.source.width + 15) / 16 * 16 + widest_window;
  r.ring = r.blocks * 16;
  index end = 0;
  const auto take = [&end](index floats) {
    const index begin = end;
    end += (floats + 15) / 16 * 16;
    return begin;
  };
  r.state = take(static_cast<index>(sizeof(ResizeState) / sizeof(float)));
  r.bases = take(r.blocks);
  r.block_taps = take(r.blocks);
  r.offsets = take(r.ring);
  r.weights = take(r.ring * a.columns.taps);
  r.held = take(a.rows.taps);
  r.places = take(a.rows.taps);
  r.row_weights = take(a.rows.taps);
  r.row = take(a.source.channels * r.plane);
  r.rows = take(a.rows.taps * a.source.channels * r.ring);
  r.size = end;
  return r;
}

}  // namespace fanin
