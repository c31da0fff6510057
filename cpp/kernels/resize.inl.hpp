#pragma once
#include "kernels/resize_workspace.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// A ResizeImage with the parts of its workspace at hand.
struct Resizer {
  const ResizeImage& a;
  ResizeWorkspace at;
  ResizeState& state;
  std::int32_t *bases, *block_taps, *offsets, *held, *places;
  float* row_weights;

  explicit FANIN_INLINE Resizer(const ResizeImage& args)
      : a(args),
        at(resize_layout(args)),
        state(*reinterpret_cast<ResizeState*>(args.workspace + at.state)),
        bases(words(at.bases)),
        block_taps(words(at.block_taps)),
        offsets(words(at.offsets)),
        held(words(at.held)),
        places(words(at.places)),
        row_weights(args.workspace + at.row_weights) {}

  FANIN_INLINE std::int32_t* words(index place) const {
    return reinterpret_cast<std::int32_t*>(a.workspace + place);
  }
  FANIN_INLINE float* weights(index block) const {
    return a.workspace + at.weights + block * 16 * a.columns.taps;
  }
  FANIN_INLINE float* ring_row(index slot) const {
    return a.workspace + at.rows + slot * a.source.channels * at.ring;
  }
};

/// Offsets and weights of a block's 16 pixels, lane by lane, up to the last tap with a weight; 0
/// where a pixel is a fill.
inline void prepare_block(const Resizer& r, index block) noexcept {
  const AxisWeights& axis = r.a.columns;
  const index begin = block * 16, left = axis.n - begin, n = left < 16 ? left : 16;
  std::int32_t low = INT32_MAX, high = 0;
  index taps = 0;
  for (index l = 0; l < n; ++l) {
    const std::int32_t first = axis.first[begin + l];
    r.state.fills |= first < 0;
    if (first < 0) continue;
    const float* weights = axis.weights + (begin + l) * axis.taps;
    index used = axis.taps;
    while (used > 1 && weights[used - 1] == 0.0f) --used;
    taps = used > taps ? used : taps;
    low = first < low ? first : low;
    high = first > high ? first : high;
  }
  float* weights = r.weights(block);
  for (index l = 0; l < 16; ++l) {
    const bool used = l < n && axis.first[begin + l] >= 0;
    r.offsets[begin + l] = used ? axis.first[begin + l] - low : 0;
    for (index t = 0; t < taps; ++t) {
      weights[16 * t + l] = used ? axis.weights[(begin + l) * axis.taps + t] : 0.0f;
    }
  }
  r.bases[block] = low;
  r.block_taps[block] = static_cast<std::int32_t>(taps);
  if (taps == 0) return;
  ResizeState& s = r.state;
  s.low = low < s.low ? low : s.low;
  s.high = high + taps > s.high ? high + taps : s.high;
  s.span = high + taps - low > s.span ? high + taps - low : s.span;
}

inline void prepare_resize(const Resizer& r) noexcept {
  const std::int32_t* rows = r.a.rows.first;
  r.state = {0, r.a.source.width, 0, 0, rows[r.a.rows.n - 1] < rows[0] ? -2 : 2, false};
  for (index b = 0; b < r.at.blocks; ++b) prepare_block(r, b);
  for (index b = 0; b < r.at.blocks; ++b) {
    r.bases[b] = r.block_taps[b] == 0 ? 0 : r.bases[b] - static_cast<std::int32_t>(r.state.low);
  }
  for (index t = 0; t < r.a.rows.taps; ++t) r.held[t] = -1;
}

/// Whether the row that will be wanted soon exists.
FANIN_INLINE bool prefetched_row(const Resizer& r, index row) {
  const index soon = row + r.state.ahead;
  return soon >= 0 && soon < r.a.source.height;
}

/// The pixels in use of a source row as planes of floats.
template <class S, int channels>
void unpack_row(const Resizer& r, index row) noexcept {
  const index n = r.state.high - r.state.low, plane = r.at.plane;
  const S* from =
      static_cast<const S*>(r.a.source.data) + (row * r.a.source.width + r.state.low) * channels;
  float* to = r.a.workspace + r.at.row;
  const S* soon =
      prefetched_row(r, row) ? from + r.state.ahead * r.a.source.width * channels : from;
  const auto sixteen = [&](index j) {
    Vec<float> pixels[channels];
    __builtin_prefetch(soon + j * channels);
    deinterleave<channels>(from + j * channels, pixels);
    for (int c = 0; c < channels; ++c) pixels[c].store(to + c * plane + j);
  };
  for (index j = 0; j + 16 <= n; j += 16) sixteen(j);
  if (n % 16 > 0 && n >= 16) return sixteen(n - 16);  // some again: nothing is read beyond the row
  for (index j = n / 16 * 16; j < n; ++j) {
    for (int c = 0; c < channels; ++c) {
      to[c * plane + j] = static_cast<float>(from[j * channels + c]);
    }
  }
}

/// Resamples the unpacked row; the sources of a block lie within `window` floats, or anywhere (0).
template <int channels, int window>
void resample_row(const Resizer& r, float* to) noexcept {
  const index blocks = r.at.blocks, plane = r.at.plane, ring = r.at.ring;
  const index block_weights = 16 * r.a.columns.taps;
  const float *row = r.a.workspace + r.at.row, *weights = r.weights(0);
  for (index b = 0; b < blocks; ++b, weights += block_weights) {
    const float* from = row + r.bases[b];
    const index taps = r.block_taps[b];
    U32 at = U32::load(reinterpret_cast<const std::uint32_t*>(r.offsets + 16 * b));
    Vec<float> sum[channels];
    for (int c = 0; c < channels; ++c) sum[c] = Vec<float>::zero();
    for (index t = 0; t < taps; ++t) {
      const Vec<float> w = Vec<float>::load(weights + 16 * t);
      for (int c = 0; c < channels; ++c) {
        if constexpr (window > 0) {
          sum[c] = fma(w, gather_within<window>(from + c * plane, at), sum[c]);
        } else {
          sum[c] = fma(w, gather(from + c * plane, at), sum[c]);
        }
      }
      at = at + U32::set(1);
    }
    for (int c = 0; c < channels; ++c) sum[c].store(to + c * ring + 16 * b);
  }
}

template <int channels>
FANIN_INLINE void resample_row(const Resizer& r, float* to) {
  if (r.state.span <= 16) return resample_row<channels, 16>(r, to);
  if (r.state.span <= 32) return resample_row<channels, 32>(r, to);
  if (r.state.span <= 64) return resample_row<channels, 64>(r, to);
  resample_row<channels, 0>(r, to);
}

/// Sees to it that the ring holds the source rows of output row i, and lists where those with
/// a weight lie.
template <class S, int channels>
FANIN_INLINE index find_rows(const Resizer& r, index i) {
  const AxisWeights& axis = r.a.rows;
  const float* weights = axis.weights + i * axis.taps;
  index n = 0;
  for (index t = 0; t < axis.taps; ++t) {
    if (weights[t] == 0.0f) continue;
    const index row = axis.first[i] + t, slot = row % axis.taps;
    if (r.held[slot] != row) {
      unpack_row<S, channels>(r, row);
      resample_row<channels>(r, r.ring_row(slot));
      r.held[slot] = static_cast<std::int32_t>(row);
    }
    r.places[n] = static_cast<std::int32_t>(slot * r.a.source.channels * r.at.ring);
    r.row_weights[n] = weights[t];
    ++n;
  }
  return n;
}

/// One channel of a row of the output from rows of the ring.
struct RowBlend {
  const float* ring;
  const std::int32_t* places;
  const float* weights;
  index n;
  float scale, shift;
  float* to;
  index width;
};

/// `taps` is n where known, else 0.
template <int taps>
void blend_rows(const RowBlend& b) noexcept {
  const Vec<float> scale = Vec<float>::set(b.scale), shift = Vec<float>::set(b.shift);
  const float* ring = b.ring;
  float* to = b.to;
  if constexpr (taps > 0) {
    const float* rows[taps];
    Vec<float> weights[taps];
    for (int k = 0; k < taps; ++k) {
      rows[k] = ring + b.places[k];
      weights[k] = Vec<float>::set(b.weights[k]);
    }
    each_vec<float>(b.width, [&](index j, int n) {
      Vec<float> sum = Vec<float>::zero();
      for (int k = 0; k < taps; ++k) sum = fma(weights[k], Vec<float>::load(rows[k] + j), sum);
      store_some(fma(sum, scale, shift), to + j, n);
    });
  } else {
    each_vec<float>(b.width, [&](index j, int n) {
      Vec<float> sum = Vec<float>::zero();
      for (index k = 0; k < b.n; ++k) {
        const Vec<float> x = Vec<float>::load(ring + b.places[k] + j);
        sum = fma(Vec<float>::set(b.weights[k]), x, sum);
      }
      store_some(fma(sum, scale, shift), to + j, n);
    });
  }
}

FANIN_INLINE void blend_rows_of(const RowBlend& b) {
  switch (b.n) {
    case 1:
      return blend_rows<1>(b);
    case 2:
      return blend_rows<2>(b);
    case 3:
      return blend_rows<3>(b);
    case 4:
      return blend_rows<4>(b);
    case 5:
      return blend_rows<5>(b);
    default:
      return blend_rows<0>(b);
  }
}

/// Output row i from n rows of the ring.
FANIN_INLINE void blend_row(const Resizer& r, index i, index n) {
  const ResizeImage& a = r.a;
  for (index c = 0; c < a.source.channels; ++c) {
    blend_rows_of({r.ring_row(0) + c * r.at.ring, r.places, r.row_weights, n, a.affine.scale[c],
                   a.affine.shift[c], a.out.data + c * a.out.plane_stride + i * a.out.row_stride,
                   a.columns.n});
  }
}

/// Writes the fills of output row i: of the columns, or of the row where its number is larger.
inline void fill_row(const ResizeImage& a, index i, index channels) noexcept {
  const std::int32_t whole = a.rows.first[i] < 0 ? -1 - a.rows.first[i] : -1;
  for (index j = 0; j < a.columns.n; ++j) {
    const std::int32_t one = a.columns.first[j] < 0 ? -1 - a.columns.first[j] : -1;
    const std::int32_t fill = one > whole ? one : whole;
    if (fill < 0) continue;
    for (index c = 0; c < channels; ++c) {
      const float x = a.fills[fill * most_channels + c];
      const Vec<float> value = fma(Vec<float>::set(x), Vec<float>::set(a.affine.scale[c]),
                                   Vec<float>::set(a.affine.shift[c]));
      value.store(a.out.data + c * a.out.plane_stride + i * a.out.row_stride + j, 1);
    }
  }
}

template <class S, int channels>
void resize_as(const ResizeImage& a, Range rows) noexcept {
  if (rows.begin == rows.end) return;
  const Resizer r(a);
  if (rows.begin == 0 || rows.begin != r.state.next) prepare_resize(r);
  for (index i = rows.begin; i < rows.end; ++i) {
    if (a.rows.first[i] >= 0 && r.state.high > 0) {
      blend_row(r, i, find_rows<S, channels>(r, i));
    }
    if (r.state.fills || a.rows.first[i] < 0) fill_row(a, i, channels);
  }
  r.state.next = rows.end;
}

template <class S>
void resize_from(const ResizeImage& a, Range rows) noexcept {
  switch (a.source.channels) {
    case 1:
      return resize_as<S, 1>(a, rows);
    case 3:
      return resize_as<S, 3>(a, rows);
    default:
      return resize_as<S, 4>(a, rows);
  }
}

inline void resize_image(const ResizeImage& a, Range rows) noexcept {
  a.source.dtype == DType::u8 ? resize_from<std::uint8_t>(a, rows) : resize_from<float>(a, rows);
}

}  // namespace fanin::FANIN_ISA
