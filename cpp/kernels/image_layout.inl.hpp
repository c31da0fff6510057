#pragma once
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

/// A PixelMap of C channels of S.
template <int C, class S>
struct Source {
  const PixelMap& map;

  const S* row(index i) const {
    return static_cast<const S*>(map.source.data) + map.rows.from[i] * map.source.width * C;
  }
  const float* fill(index k) const { return map.fills + k * most_channels; }

  /// Calls inside(from), the lowest pixel of the run in the source, or fill(values) of the whole
  /// output row; then pixel(j, from) or pixel(j, values) for each column outside the run.
  template <class Run, class Fill, class Pixel>
  FANIN_INLINE void visit(index i, Run&& run, Fill&& whole, Pixel&& pixel) const {
    const AxisMap& columns = map.columns;
    const index r = map.rows.from[i], n = columns.run.end - columns.run.begin;
    if (r < 0) {
      whole(fill(-1 - r));
    } else if (n > 0) {
      run(row(i) + columns.from[columns.step > 0 ? columns.run.begin : columns.run.end - 1] * C);
    }
    const auto outside = [&](index j) {
      const index c = columns.from[j], lower = r < c ? r : c;
      lower < 0 ? pixel(j, fill(-1 - lower)) : pixel(j, row(i) + c * C);
    };
    for (index j = 0; j < columns.run.begin; ++j) outside(j);
    for (index j = columns.run.end; j < columns.n; ++j) outside(j);
  }
};

/// n pixels; `from` is the lowest.
template <int C, int Step>
FANIN_INLINE void copy_run(const std::uint8_t* from, std::uint8_t* to, index n) {
  if constexpr (Step > 0) {
    std::memcpy(to, from, static_cast<std::size_t>(n * C));
  } else if (n < 16) {
    for (index t = 0; t < n; ++t) std::memcpy(to + t * C, from + (n - 1 - t) * C, C);
  } else {
    each_sixteen(n, [&](index t, int) { reverse_pixels<C>(from + (n - 16 - t) * C, to + t * C); });
  }
}
template <int C, int Step>
FANIN_INLINE void copy_run(const float* from, float* to, index n) {
  if constexpr (Step > 0) {
    std::memcpy(to, from, static_cast<std::size_t>(n * C) * sizeof(float));
  } else {
    each_sixteen(n, [&](index t, int lanes) {
      Vec<float> channel[C];
      deinterleave_some<C, -1>(from + (n - lanes - t) * C, lanes, channel);
      interleave_some<C>(channel, to + t * C, lanes);
    });
  }
}

FANIN_INLINE void put_value(float value, float& to) { to = value; }
FANIN_INLINE void put_value(float value, std::uint8_t& to) { to = to_byte(value); }

template <int C, int Step, class S>
void copy_pixels_as(const CopyPixels& args, Range rows) noexcept {
  const CopyPixels a = args;
  const Source<C, S> source{a.map};
  const Range run = a.map.columns.run;
  for (index i = rows.begin; i < rows.end; ++i) {
    S* to = static_cast<S*>(a.out) + i * a.row_stride;
    const auto put = [&](index j, const auto* values) {
      if constexpr (sizeof *values == sizeof(S)) {
        std::memcpy(to + j * C, values, C * sizeof(S));
      } else {
        for (int c = 0; c < C; ++c) put_value(values[c], to[j * C + c]);
      }
    };
    source.visit(
        i, [&](const S* from) { copy_run<C, Step>(from, to + run.begin * C, run.end - run.begin); },
        [&](const float* values) {
          for (index j = 0; j < a.map.columns.n; ++j) put(j, values);
        },
        put);
  }
}

template <int C, int Step, class S>
void unpack_pixels_as(const UnpackPixels& args, Range rows) noexcept {
  const UnpackPixels a = args;
  const Source<C, S> source{a.map};
  const Range run = a.map.columns.run;
  const index n = run.end - run.begin;
  const Affine<C> affine(a.affine);
  for (index i = rows.begin; i < rows.end; ++i) {
    float* to = a.out.data + i * a.out.row_stride;
    const auto value = [&](const auto* values, int c) {
      return std::fma(static_cast<float>(values[c]), a.affine.scale[c], a.affine.shift[c]);
    };
    source.visit(
        i,
        [&](const S* from) {
          each_sixteen(n, [&](index t, int lanes) {
            Vec<float> x[C];
            deinterleave_some<C, Step>(from + (Step > 0 ? t : n - lanes - t) * C, lanes, x);
            for (int c = 0; c < C; ++c) {
              store_some(affine(x[c], c), to + c * a.out.plane_stride + run.begin + t, lanes);
            }
          });
        },
        [&](const float* values) {
          for (int c = 0; c < C; ++c) {
            const Vec<float> all = Vec<float>::set(value(values, c));
            each_sixteen(a.map.columns.n, [&](index t, int lanes) {
              store_some(all, to + c * a.out.plane_stride + t, lanes);
            });
          }
        },
        [&](index j, const auto* values) {
          for (int c = 0; c < C; ++c) to[c * a.out.plane_stride + j] = value(values, c);
        });
  }
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
