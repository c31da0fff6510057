#pragma once
#include "kernels/covariance.hpp"
#include "kernels/gemm.inl.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// Calls f with a pointer of the stored type.
template <class F>
FANIN_INLINE void with_type(DType dtype, const void* data, F f) {
  switch (dtype) {
    case DType::u8:
      return f(static_cast<const std::uint8_t*>(data));
    case DType::f32:
      return f(static_cast<const float*>(data));
    case DType::f64:
      return f(static_cast<const double*>(data));
  }
}

/// Four Vecs of columns at a time: one chain of additions alone would wait for each of them.
template <class S>
void column_sums_of(const ColumnSums& c, const S* data, Range cols) noexcept {
  constexpr index V = 4, L = lanes<double>;
  for (index j = cols.begin; j < cols.end; j += V * L) {
    int n[V];
    Vec<double> sum[V], shift[V];
    for (index v = 0; v < V; ++v) {
      const index left = cols.end - j - v * L;
      n[v] = static_cast<int>(left < 0 ? 0 : left < L ? left : L);
      sum[v] = Vec<double>::load(c.sums + j + v * L, n[v]);
      shift[v] = c.shift ? Vec<double>::load(c.shift + j + v * L, n[v]) : Vec<double>::zero();
    }
    const S* row = data + j;
    for (index i = 0; i < c.rows; ++i, row += c.cols) {
#pragma GCC unroll 4
      for (index v = 0; v < V; ++v) {
        const Vec<double> x = convert_some<double>(row + v * L, n[v]) - shift[v];
        sum[v] = c.squared ? fma(x, x, sum[v]) : sum[v] + x;
      }
    }
    for (index v = 0; v < V; ++v) sum[v].store(c.sums + j + v * L, n[v]);
  }
}

template <class T>
void column_sums(const ColumnSums& c, Range cols) noexcept {
  with_type(c.dtype, c.data, [&](const auto* data) { column_sums_of(c, data, cols); });
}

template <class T, class S>
void centre_rows_of(const CentreRows<T>& args, const S* data, Range rows) noexcept {
  const CentreRows<T> c = args;  // a local copy: no store can change it
  for (index i = rows.begin; i < rows.end; ++i) {
    T* to = c.out + i * c.row_stride;
    for (index first = 0; first < c.cols; first += c.panel_columns, to += c.panel_stride) {
      const index left = c.cols - first;
      each_vec<T>(left < c.panel_columns ? left : c.panel_columns, [&](index k, int n) {
        const index j = first + k;
        Vec<T> x = convert_some<T>(data + i * c.cols + j, n);
        if (c.shift) x = x - load_some(c.shift + j, n);
        if (c.rest) x = x - load_some(c.rest + j, n);
        if (c.scale) x = x * load_some(c.scale + j, n);
        store_some(x, to + k, n);
      });
    }
  }
}

template <class T>
void centre_rows(const CentreRows<T>& c, Range rows) noexcept {
  with_type(c.dtype, c.data, [&](const auto* data) { centre_rows_of(c, data, rows); });
}

/// to (n, width) += from (n, width).
template <class S>
FANIN_INLINE void add_rows(const S* from, index from_stride, double* to, index to_stride, index n,
                           index width) {
  for (index i = 0; i < n; ++i, from += from_stride, to += to_stride) {
    each_vec<double>(width, [&](index j, int k) {
      store_some(load_some(to + j, k) + convert_some<double>(from + j, k), to + j, k);
    });
  }
}

/// Calls f(first, width) for each panel of the columns.
template <class F>
FANIN_INLINE void each_panel(Range cols, F f) {
  for (index j = cols.begin; j < cols.end; j += block_columns) {
    f(j, cols.end - j < block_columns ? cols.end - j : block_columns);
  }
}

template <class T>
void scatter(const Scatter<T>& s, Range rows, Range cols) noexcept {
  constexpr index W = block_columns, strip_rows = W / 2;  // a strip's chains lie in L1
  const auto sums_of = [&](index i, index j) {
    return s.sums + (j - cols.begin) * scatter_rows + (i - rows.begin) * W;
  };
  const auto height = [&](index j, index width) {
    return (rows.end < j + width ? rows.end : j + width) - rows.begin;
  };
  for (index i = 0; i < scatter_rows * scatter_cols; ++i) s.sums[i] = 0;
  for (index k = 0; k < s.rows; k += chain_rows) {
    const index chain = s.rows - k < chain_rows ? s.rows - k : chain_rows;
    each_panel(cols, [&](index j, index width) {
      const T* b = s.x + j / W * s.panel_stride + k * W;
      const index end = rows.begin + height(j, width);
      for (index i = rows.begin; i < end; i += strip_rows) {
        const index strip = end - i < strip_rows ? end - i : strip_rows;
        const T* a = s.x + i / W * s.panel_stride + k * W + i % W;
        const Product<T> p{a, 1, W, b, W, s.scratch, W, chain, nullptr, false};
        multiply(p, Range{0, strip}, Range{0, width}, static_cast<T*>(nullptr),
                 [](Range, Range) {});
        add_rows(s.scratch, W, sums_of(i, j), W, strip, width);
      }
    });
  }
  each_panel(cols, [&](index j, index width) {
    double* to = s.total + rows.begin * s.cols + j;
    add_rows(sums_of(rows.begin, j), W, to, s.cols, height(j, width), width);
  });
}

template <class T>
void project(const Project<T>& p, Range rows, Range cols) noexcept {
  constexpr index W = block_columns, slice = 256;  // of x, which stays in L2
  const index n = rows.end - rows.begin;
  const T* x = p.x + rows.begin * p.x_stride;
  const auto scratch_of = [&](index j) { return p.scratch + (j - cols.begin) * project_rows; };
  for (index k = 0; k == 0 || k < p.k; k += slice) {
    const index size = p.k - k < slice ? p.k - k : slice;
    each_panel(cols, [&](index j, index width) {
      const T* w = p.panels + j * p.k + k * width;
      const Product<T> product{x + k,         p.x_stride, 1,    w,       width,
                               scratch_of(j), W,          size, nullptr, k > 0};
      multiply(product, Range{0, n}, Range{0, width}, static_cast<T*>(nullptr),
               [](Range, Range) {});
    });
  }
  each_panel(cols, [&](index first, index width) {
    for (index i = 0; i < n; ++i) {
      T* to = p.out + (rows.begin + i) * p.out_stride + first;
      each_vec<T>(width, [&](index j, int lanes_used) {
        Vec<T> y = load_some(scratch_of(first) + i * W + j, lanes_used);
        if (p.scale) y = y * load_some(p.scale + first + j, lanes_used);
        if (p.add) y = y + load_some(p.add + first + j, lanes_used);
        store_some(y, to + j, lanes_used);
      });
    }
  });
}

}  // namespace fanin::FANIN_ISA
