#include "engine/statistics/covariance.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/aligned.hpp"
#include "core/clock.hpp"
#include "isa/dispatch.hpp"

namespace fanin {

namespace {

constexpr index scatter_block = 2048;  // rows of the data that are centred and multiplied at once
constexpr index project_block = 1024;
constexpr index sums_block = 32768;

double work_of(index a, index b, index c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

/// A team that polls for signals while it works.
class PolledTeam {
 public:
  PolledTeam(Team& team, FunctionRef<void()> poll) : team_(team), poll_(poll) {}

  int size() const { return team_.size(); }

  /// Runs item(i, member) for each i in [0, n). An item's result must not depend on who runs it.
  template <class F>
  void share(index n, F&& item) {
    team_.share(n, [&](index i, int member) {
      item(i, member);
      poll_(member);
    });
  }

  /// Runs range(Range) over [0, n) in steps.
  template <class F>
  void share_steps(index n, index step, F&& range) {
    share((n + step - 1) / step,
          [&](index i, int) { range(Range{i * step, std::min(n, (i + 1) * step)}); });
  }

 private:
  Team& team_;
  Poller poll_;
};

template <class F>
void with_polled_team(int n_threads, double flops, FunctionRef<void()> poll, F&& work) {
  parallel_team(useful_threads(n_threads, flops), [&](Team& team) {
    PolledTeam polled(team, poll);
    work(polled);
  });
}

/// Blocks of rows as the kernels take them: where they are, or copied by the team.
class PackedBlocks {
 public:
  PackedBlocks(const Rows& x, index block) : x_(x) {
    if (!x.packed()) copy_.reserve(block * x.cols * item_size(x.dtype));
  }

  const void* rows(PolledTeam& team, index begin, index n) {
    if (copy_.size() == 0) return x_.row(begin);
    team.share_steps(n, 32, [&](Range r) {
      char* to = copy_.data() + r.begin * x_.cols * item_size(x_.dtype);
      x_.pack(nullptr, {begin + r.begin, begin + r.end}, {0, x_.cols}, to);
    });
    return copy_.data();
  }

 private:
  const Rows& x_;
  Aligned<char> copy_;
};

/// sums += those of the columns: each is one chain over the rows, however many come at once.
void add_columns(const Rows& x, Range rows, const double* shift, bool squared, double* sums,
                 Range cols) {
  const index n = rows.end - rows.begin, width = cols.end - cols.begin;
  if (x.packed()) {
    const ColumnSums c{x.row(rows.begin), x.dtype, shift, sums, n, x.cols, squared};
    return kernels<double>().column_sums(c, cols);
  }
  constexpr index step = 256;
  char* packed = thread_scratch<char>(step * width * item_size(x.dtype));
  for (index i = rows.begin; i < rows.end; i += step) {
    const Range part{i, std::min(i + step, rows.end)};
    x.pack(nullptr, part, cols, packed);
    const ColumnSums c{packed,
                       x.dtype,
                       shift ? shift + cols.begin : nullptr,
                       sums + cols.begin,
                       part.end - part.begin,
                       width,
                       squared};
    kernels<double>().column_sums(c, {0, width});
  }
}

/// A mean in two parts: T's, and what T could not hold.
template <class T>
struct Shift {
  Aligned<T> shift, rest;

  Shift(const double* mean, index n, bool whole = false) : shift(n), rest(n) {
    for (index j = 0; j < n; ++j) {
      shift.data()[j] = static_cast<T>(whole ? std::nearbyint(mean[j]) : mean[j]);
      rest.data()[j] = static_cast<T>(mean[j] - static_cast<double>(shift.data()[j]));
    }
  }
};

template <class T>
Aligned<T> converted(const double* values, index n) {
  Aligned<T> out(values ? n : 0);
  for (index j = 0; j < out.size(); ++j) out.data()[j] = static_cast<T>(values[j]);
  return out;
}

/// Blocks on and above the diagonal.
struct Block {
  Range rows, cols;
};

std::vector<Block> upper_blocks(index size) {
  const bool large = size >= 4 * scatter_rows;  // else smaller blocks, enough for all threads
  const index height = large ? scatter_rows : block_columns;
  const index width = large ? scatter_cols : block_columns;
  std::vector<Block> blocks;
  for (index i = 0; i < size; i += height) {
    for (index j = i; j < size; j += width) {
      const index end = std::min(j + width, size);
      blocks.push_back({{i, std::min({i + height, end, size})}, {j, end}});
    }
  }
  return blocks;
}

/// Moves a block from sums about the shift to sums about the mean, and mirrors it.
template <class T>
void finish_block(const Block& b, const double* mean, const T* shift, index n, double* total,
                  index d, double* scratch) {
  const auto rest = [&](index j) { return mean[j] - static_cast<double>(shift[j]); };
  for (index i = b.rows.begin; i < b.rows.end; ++i) {
    const double moved = static_cast<double>(n) * rest(i);
    for (index j = std::max(i, b.cols.begin); j < b.cols.end; ++j) {
      total[i * d + j] -= moved * rest(j);
      scratch[(i - b.rows.begin) * scatter_cols + j - b.cols.begin] = total[i * d + j];
    }
  }
  for (index j = b.cols.begin; j < b.cols.end; ++j) {
    const double* from = scratch + j - b.cols.begin;
    double* to = total + j * d + b.rows.begin;
    const index above = std::min(b.rows.end, j) - b.rows.begin;
    for (index i = 0; i < above; ++i) to[i] = from[i * scatter_cols];
  }
}

}  // namespace

void column_sums(const Rows& x, const double* shift, bool squared, double* sums, int n_threads,
                 FunctionRef<void()> poll) {
  constexpr index step = 256;  // columns: whole lines of each row
  with_polled_team(n_threads, 2 * work_of(x.n, x.cols, 1), poll, [&](PolledTeam& team) {
    for (index i = 0; i < x.n; i += sums_block) {
      const index rows = std::min(sums_block, x.n - i);
      team.share_steps(x.cols, step, [&](Range cols) {
        add_columns(x, {i, i + rows}, shift, squared, sums, cols);
      });
    }
  });
}

template <class T>
void centre(const Rows& x, const double* mean, const double* scale, T* out, int n_threads,
            FunctionRef<void()> poll) {
  const Shift<T> s(mean, x.cols);
  const Aligned<T> factors = converted<T>(scale, x.cols);
  const CentreRows<T> c{x.data, x.dtype, s.shift.data(), s.rest.data(), factors.data(), out, x.cols,
                        x.cols, 0,       x.cols};
  const index step = std::max<index>(1, (1 << 16) / std::max<index>(x.cols, 1));
  with_polled_team(n_threads, 4 * work_of(x.n, x.cols, 1), poll, [&](PolledTeam& team) {
    team.share_steps(x.n, step, [&](Range r) {
      if (x.packed()) return kernels<T>().centre_rows(c, r);
      CentreRows<T> own = c;
      char* packed = thread_scratch<char>(step * x.cols * item_size(x.dtype));
      x.pack(nullptr, r, {0, x.cols}, packed);
      own.data = packed;
      own.out += r.begin * x.cols;
      kernels<T>().centre_rows(own, {0, r.end - r.begin});
    });
  });
}

template <class T>
void scatter(const Rows& x, const double* mean, double* total, int n_threads,
             FunctionRef<void()> poll) {
  const index d = x.cols, panels = (d + block_columns - 1) / block_columns;
  const index block = std::min(scatter_block, x.n), panel_stride = block * block_columns;
  const Shift<T> s(mean, d, x.dtype == DType::u8);
  Aligned<T> centred(panels * panel_stride);
  PackedBlocks packed(x, block);
  struct Workspace {
    Aligned<T> chains{block_columns * block_columns};
    Aligned<double> sums{scatter_rows * scatter_cols};
  };
  const std::vector<Block> blocks = upper_blocks(d);
  with_polled_team(n_threads, work_of(x.n, d, d), poll, [&](PolledTeam& team) {
    std::vector<Workspace> workspaces(static_cast<std::size_t>(team.size()));
    const auto each_block = [&](auto&& use) {
      team.share(static_cast<index>(blocks.size()), [&](index i, int member) {
        use(blocks[static_cast<std::size_t>(i)], workspaces[static_cast<std::size_t>(member)]);
      });
    };
    for (index begin = 0; begin < x.n; begin += block) {
      const index rows = std::min(block, x.n - begin);
      const CentreRows<T> c{packed.rows(team, begin, rows),
                            x.dtype,
                            s.shift.data(),
                            nullptr,
                            nullptr,
                            centred.data(),
                            d,
                            block_columns,
                            panel_stride,
                            block_columns};
      team.share_steps(rows, 32, [&](Range r) { kernels<T>().centre_rows(c, r); });
      each_block([&](const Block& b, Workspace& w) {
        const Scatter<T> product{centred.data(),  rows,         panel_stride, total, d,
                                 w.chains.data(), w.sums.data()};
        kernels<T>().scatter(product, b.rows, b.cols);
      });
    }
    each_block([&](const Block& b, Workspace& w) {
      finish_block(b, mean, s.shift.data(), x.n, total, d, w.sums.data());
    });
  });
}

template <class T>
void project(const Rows& x, const double* mean, const T* vectors, index m, const double* scale,
             const double* add, T* out, int n_threads, FunctionRef<void()> poll) {
  const index d = x.cols;
  const index width = m >= 4 * project_cols ? project_cols : block_columns;
  const index parts = (m + width - 1) / width;
  const index stride = (d / 32 * 2 + 3) * 16;  // whole lines, an odd number of them
  const index block = std::min(project_block, x.n);
  const Shift<T> s(mean, d);
  const Aligned<T> factors = converted<T>(scale, m), terms = converted<T>(add, m);
  Aligned<T> centred(block * stride), panels(m * d);
  PackedBlocks packed(x, block);
  with_polled_team(n_threads, 2 * work_of(x.n, d, m), poll, [&](PolledTeam& team) {
    std::vector<Aligned<T>> scratch;
    for (int i = 0; i < team.size(); ++i) scratch.emplace_back(project_rows * project_cols);
    team.share_steps(m, block_columns, [&](Range r) {
      const index n = r.end - r.begin, at = r.begin * d;
      kernels<T>().transpose({vectors + at, panels.data() + at, n, d}, {0, n});
    });
    for (index begin = 0; begin < x.n; begin += block) {
      const index rows = std::min(block, x.n - begin);
      const CentreRows<T> c{packed.rows(team, begin, rows),
                            x.dtype,
                            s.shift.data(),
                            s.rest.data(),
                            nullptr,
                            centred.data(),
                            d,
                            d,
                            0,
                            stride};
      team.share_steps(rows, 16, [&](Range r) { kernels<T>().centre_rows(c, r); });
      const index groups = (rows + project_rows - 1) / project_rows;
      team.share(groups * parts, [&](index i, int member) {
        const Project<T> p{centred.data(),
                           stride,
                           d,
                           panels.data(),
                           factors.data(),
                           terms.data(),
                           out + begin * m,
                           m,
                           scratch[static_cast<std::size_t>(member)].data()};
        const index row = i / parts * project_rows, col = i % parts * width;
        kernels<T>().project(p, {row, std::min(row + project_rows, rows)},
                             {col, std::min(col + width, m)});
      });
    }
  });
}

template void centre(const Rows&, const double*, const double*, float*, int, FunctionRef<void()>);
template void centre(const Rows&, const double*, const double*, double*, int, FunctionRef<void()>);
template void scatter<float>(const Rows&, const double*, double*, int, FunctionRef<void()>);
template void scatter<double>(const Rows&, const double*, double*, int, FunctionRef<void()>);
template void project(const Rows&, const double*, const float*, index, const double*, const double*,
                      float*, int, FunctionRef<void()>);
template void project(const Rows&, const double*, const double*, index, const double*,
                      const double*, double*, int, FunctionRef<void()>);

}  // namespace fanin
