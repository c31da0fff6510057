#pragma once
#include <type_traits>

#include "core/copy.hpp"
#include "kernels/image_layout.hpp"
#include "kernels/pixels.inl.hpp"

namespace fanin::FANIN_ISA {

/// Calls f(first, lanes) for parts of sixteen of [0, n); the last one reaches back over the one
/// before where n >= 16, so that only a shorter run is in need of a part of a vector.
template <class F>
FANIN_INLINE void each_sixteen(index n, F&& f) {
  index t = 0;
  for (; t + 16 <= n; t += 16) f(t, 16);
  if (t == n) return;
  n > 16 ? f(n - 16, 16) : f(0, static_cast<int>(n));
}

/// The columns of an output row on one side of the run: plain where they are one fill and fit in
/// sixteen pixels. These are then stored whole, and the run after them covers what went too far.
struct Border {
  bool plain, missing;
  const float* values;

  FANIN_INLINE Border(const PixelMap& map, Range side, bool may_be_plain) {
    static constexpr float none[most_channels] = {};
    const index n = side.end - side.begin;
    const std::int32_t* from = map.columns.from + side.begin;
    plain = may_be_plain && n > 0 && n <= 16 && *from < 0;
    for (index j = 1; j < n && plain; ++j) plain = from[j] == *from;
    missing = n > 0 && !plain;
    values = plain ? map.fills + (-1 - *from) * most_channels : none;
  }
};

/// What the rows of a PixelMap of C channels of S have in common.
template <int C, class S>
struct Layout {
  index n, begin, run;  // columns, those before the run, those in it
  const S* first;       // the lowest pixel of the run, in the source's row 0
  index row_stride;     // of the source
  Border left, right;

  explicit FANIN_INLINE Layout(const PixelMap& m)
      : n(m.columns.n),
        begin(m.columns.run.begin),
        run(m.columns.run.end - begin),
        first(static_cast<const S*>(m.source.data)),
        row_stride(m.source.width * C),
        left(m, {0, begin}, n >= 16),
        right(m, {begin + run, n}, n - 16 >= begin) {
    if (run > 0) first += m.columns.from[m.columns.step > 0 ? begin : begin + run - 1] * C;
  }
};

/// Calls pixel(i, j, values or source's pixel) for those that the way by rows leaves out: outside
/// the run, where a border is not plain or has a later fill than the row.
template <int C, class S, class F>
void each_missing(const PixelMap& map, const Layout<C, S>& layout, Range rows, F pixel) {
  const AxisMap& columns = map.columns;
  const auto visit = [&](index i, Range side, bool missing) {
    const index r = map.rows.from[i];
    for (index j = side.begin; j < side.end; ++j) {
      const index c = columns.from[j], lower = r < c ? r : c;
      if (r < 0 ? c >= r : !missing) continue;
      if (lower < 0) {
        pixel(i, j, map.fills + (-1 - lower) * most_channels);
      } else {
        pixel(i, j, static_cast<const S*>(map.source.data) + r * layout.row_stride + c * C);
      }
    }
  };
  for (index i = rows.begin; i < rows.end; ++i) {
    visit(i, {0, columns.run.begin}, layout.left.missing);
    visit(i, {columns.run.end, columns.n}, layout.right.missing);
  }
}
/// Whether there are any.
inline bool has_missing(const PixelMap& map, const Border& left, const Border& right) {
  bool later = false;
  for (index j = 0; j < map.columns.run.begin; ++j) later = later || map.columns.from[j] < -1;
  for (index j = map.columns.run.end; j < map.columns.n; ++j) {
    later = later || map.columns.from[j] < -1;
  }
  return left.missing || right.missing || later;
}

/// n pixels; `from` is the lowest.
template <int C, int Step, class S>
FANIN_INLINE void copy_run(const S* from, S* to, index n) {
  constexpr index bytes = C * sizeof(S);
  if constexpr (Step > 0) {
    if (n * bytes >= 64) return copy_blocks<64>(from, to, n * bytes);
    std::memcpy(to, from, static_cast<std::size_t>(n * bytes));
  } else if (n < 16) {
    for (index t = 0; t < n; ++t) std::memcpy(to + t * C, from + (n - 1 - t) * C, bytes);
  } else {
    each_sixteen(n, [&](index t, int) {
      const S* last = from + (n - 16 - t) * C;
      if constexpr (sizeof(S) == 1) {
        reverse_pixels<C>(last, to + t * C);
      } else {
        Vec<float> channel[C];
        deinterleave<C, -1>(last, channel);
        interleave<C>(channel, to + t * C);
      }
    });
  }
}

/// Sixteen pixels of a fill.
template <int C, class S>
struct Filled {
  S pixels[16 * C];

  explicit FANIN_INLINE Filled(const float* values) {
    Vec<float> channel[C];
    for (int c = 0; c < C; ++c) channel[c] = Vec<float>::set(values[c]);
    interleave<C>(channel, pixels);
  }
  FANIN_INLINE void store(S* to, index n = 16) const {
    std::memcpy(to, pixels, static_cast<std::size_t>(n * C) * sizeof(S));
  }
};

template <int C, int Step, class S>
void copy_pixels_as(const CopyPixels& a, Range rows) noexcept {
  const Layout<C, S> layout(a.map);
  const Filled<C, S> left(layout.left.values), right(layout.right.values);
  const std::int32_t* row_from = a.map.rows.from;
  const index stride = a.row_stride;
  S* to = static_cast<S*>(a.out) + rows.begin * stride;
  for (index i = rows.begin; i < rows.end; ++i, to += stride) {
    const index r = row_from[i];
    if (r < 0) {
      const float* values = a.map.fills + (-1 - r) * most_channels;
      const Filled<C, S> fill(values);
      each_sixteen(layout.n, [&](index t, int lanes) {
        lanes == 16 ? fill.store(to + t * C) : fill.store(to + t * C, lanes);
      });
      continue;
    }
    if (layout.left.plain) left.store(to);
    if (layout.right.plain) right.store(to + (layout.n - 16) * C);
    copy_run<C, Step>(layout.first + r * layout.row_stride, to + layout.begin * C, layout.run);
  }
  if (!has_missing(a.map, layout.left, layout.right)) return;
  each_missing<C>(a.map, layout, rows, [&]<class V>(index i, index j, const V* values) {
    S* pixel = static_cast<S*>(a.out) + i * a.row_stride + j * C;
    if constexpr (sizeof(V) > sizeof(S)) {
      Filled<C, S>(values).store(pixel, 1);
    } else {
      std::memcpy(pixel, values, C * sizeof(S));
    }
  });
}

/// A fill as vectors, one a channel.
template <int C>
struct FilledPlanes {
  Vec<float> value[C];

  FANIN_INLINE FilledPlanes(const float* values, const Affine<C>& affine) {
    for (int c = 0; c < C; ++c) value[c] = affine(Vec<float>::set(values[c]), c);
  }
  FANIN_INLINE void store(float* to, index plane_stride, int lanes) const {
    for (int c = 0; c < C; ++c) store_some(value[c], to + c * plane_stride, lanes);
  }
};

template <int C, int Step, class S>
void unpack_pixels_as(const UnpackPixels& a, Range rows) noexcept {
  const Layout<C, S> layout(a.map);
  const Affine<C> affine(a.affine);
  const FilledPlanes<C> left(layout.left.values, affine), right(layout.right.values, affine);
  const std::int32_t* row_from = a.map.rows.from;
  const index planes = a.out.plane_stride, stride = a.out.row_stride;
  float* to = a.out.data + rows.begin * stride;
  for (index i = rows.begin; i < rows.end; ++i, to += stride) {
    const index r = row_from[i];
    if (r < 0) {
      const FilledPlanes<C> all(a.map.fills + (-1 - r) * most_channels, affine);
      each_sixteen(layout.n, [&](index t, int lanes) { all.store(to + t, planes, lanes); });
      continue;
    }
    if (layout.left.plain) left.store(to, planes, 16);
    if (layout.right.plain) right.store(to + layout.n - 16, planes, 16);
    const S* from = layout.first + r * layout.row_stride;
    each_sixteen(layout.run, [&](index t, int lanes) {
      Vec<float> x[C];
      const index lowest = Step > 0 ? t : layout.run - lanes - t;
      deinterleave_some<C, Step>(from + lowest * C, lanes, x);
      float* out = to + layout.begin + t;
      for (int c = 0; c < C; ++c) store_some(affine(x[c], c), out + c * planes, lanes);
    });
  }
  if (!has_missing(a.map, layout.left, layout.right)) return;
  each_missing<C>(a.map, layout, rows, [&](index i, index j, const auto* values) {
    float* pixel = a.out.data + i * a.out.row_stride + j;
    for (int c = 0; c < C; ++c) {
      const float x = static_cast<float>(values[c]);
      pixel[c * planes] = std::fma(x, a.affine.scale[c], a.affine.shift[c]);
    }
  });
}

/// Calls f(channels, step, null pointer of the pixels' type) with each as a constant.
template <class F>
FANIN_INLINE void by_map(const PixelMap& map, F&& f) {
  by_channels(map.source.channels, [&](auto channels) {
    by_pixel_type(map.source.dtype, [&](auto type) {
      map.columns.step > 0 ? f(channels, std::integral_constant<int, 1>{}, type)
                           : f(channels, std::integral_constant<int, -1>{}, type);
    });
  });
}

inline void copy_pixels(const CopyPixels& a, Range rows) noexcept {
  by_map(a.map, [&]<int C, int Step, class S>(Channels<C>, std::integral_constant<int, Step>,
                                              const S*) { copy_pixels_as<C, Step, S>(a, rows); });
}
inline void unpack_pixels(const UnpackPixels& a, Range rows) noexcept {
  by_map(a.map, [&]<int C, int Step, class S>(Channels<C>, std::integral_constant<int, Step>,
                                              const S*) { unpack_pixels_as<C, Step, S>(a, rows); });
}

template <int C, class S>
void pack_planes_as(const PackPlanes& args, Range rows) noexcept {
  const PackPlanes a = args;
  const Affine<C> affine(a.affine);
  S* out = static_cast<S*>(a.out);
  for (index i = rows.begin; i < rows.end; ++i) {
    const float* from = a.planes.data + i * a.planes.row_stride;
    const index row = a.first_row + i;
    each_vec<float>(a.width, [&](index j, int lanes) {
      Vec<float> x[C];
      for (int c = 0; c < C; ++c) {
        x[c] = affine(load_some(from + c * a.planes.plane_stride + j, lanes), c);
      }
      if (!a.planar) return interleave_some<C>(x, out + (row * a.width + j) * C, lanes);
      for (int c = 0; c < C; ++c) {
        const Vec<float> one[] = {x[c]};
        interleave_some<1>(one, out + (c * a.height + row) * a.width + j, lanes);
      }
    });
  }
}

inline void pack_planes(const PackPlanes& a, Range rows) noexcept {
  by_channels(a.channels, [&]<int C>(Channels<C>) {
    a.dtype == DType::u8 ? pack_planes_as<C, std::uint8_t>(a, rows)
                         : pack_planes_as<C, float>(a, rows);
  });
}

}  // namespace fanin::FANIN_ISA
