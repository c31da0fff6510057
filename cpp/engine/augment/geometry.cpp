#include "engine/augment/geometry.hpp"

#include <algorithm>
#include <cmath>

namespace fanin {

namespace {

std::int32_t narrow(index i) { return static_cast<std::int32_t>(i); }

/// Where position i beyond [0, n) lies behind a border that is not constant.
index folded(index i, index n, Border border) {
  if (border == Border::edge || n == 1) return std::clamp<index>(i, 0, n - 1);
  const bool repeats = border == Border::symmetric;  // the outermost pixel
  const index period = repeats ? 2 * n : 2 * n - 2;
  const index at = (i % period + period) % period;
  return at < n ? at : period - (repeats ? 1 : 0) - at;
}

/// Makes the map of one axis, operation by operation. The first ones point into a table of the
/// padded axis, which is the same for all images of a size.
class AxisMapper {
 public:
  AxisMapper(index n, AxisWorkspace& workspace)
      : workspace_(workspace), axis_(n), n_(n), run_{0, n} {}

  void crop(index begin, index n, Border border, std::int32_t fill) {
    const Range inside{std::clamp<index>(-begin, 0, n), std::clamp<index>(n_ - begin, 0, n)};
    if (!from_) {
      const index beyond = std::max(-begin, begin + n - n_);
      workspace_.padded.prepare(axis_, std::max<index>(beyond, 0), border, fill);
      from_ = workspace_.padded.forward() + begin;
      in_table_ = true;
    } else {
      std::int32_t* out = fresh(n);
      for (index i = 0; i < n; ++i) {
        const index at = begin + i;
        const bool beyond = at < 0 || at >= n_;
        out[i] = beyond && border == Border::constant ? -1 - fill
                                                      : from_[beyond ? folded(at, n_, border) : at];
      }
      keep(out);
    }
    n_ = n;
    run_ = {std::max(run_.begin - begin, inside.begin), std::min(run_.end - begin, inside.end)};
    if (run_.begin >= run_.end) run_ = {0, 0};
  }

  void flip() {
    start();
    if (in_table_) {
      from_ = workspace_.padded.mirrored(from_, n_);
    } else {
      std::int32_t* out = fresh(n_);
      std::reverse_copy(from_, from_ + n_, out);
      keep(out);
    }
    run_ = {n_ - run_.end, n_ - run_.begin};
    step_ = -step_;
  }

  AxisMap map() {
    start();
    return {from_, n_, run_, step_};
  }

 private:
  void start() {
    if (!from_) crop(0, n_, workspace_.padded.border, workspace_.padded.fill);
  }
  std::int32_t* fresh(index n) {
    workspace_.spare.reserve(n);
    return workspace_.spare.data();
  }
  void keep(const std::int32_t* out) {
    std::swap(workspace_.from, workspace_.spare);
    from_ = out;
    in_table_ = false;
  }

  AxisWorkspace& workspace_;
  const std::int32_t* from_ = nullptr;  // null: nothing has happened yet
  bool in_table_ = false;
  index axis_, n_;
  Range run_;
  int step_ = 1;
};

}  // namespace

void PaddedAxis::prepare(index length, index beyond, Border wanted, std::int32_t number) {
  if (length == n && beyond <= pad && wanted == border && number == fill) return;
  pad = wanted == border && number == fill ? std::max(pad, beyond) : beyond;
  n = length;
  border = wanted;
  fill = number;
  const index size = n + 2 * pad;
  table.reserve(2 * size);
  for (index i = 0; i < size; ++i) {
    const index at = i - pad;
    const bool inside = at >= 0 && at < n;
    const std::int32_t from = inside                       ? narrow(at)
                              : border == Border::constant ? -1 - fill
                                                           : narrow(folded(at, n, border));
    table.data()[i] = table.data()[2 * size - 1 - i] = from;
  }
}

namespace {

/// Pixel i of a resized axis covers [origin + step i, origin + step (i + 1)] of the source, and
/// takes from pixels [begin, end) alone.
struct AxisScale {
  double origin = 0, step = 1;
  index begin, end;
  double support = 1;

  void crop(index first) { origin += step * static_cast<double>(first); }
  void flip(index n) {
    origin += step * static_cast<double>(n);
    step = -step;
  }
  void resize(index from, index to, bool antialias) {
    const double one = origin, other = origin + step * static_cast<double>(from);
    begin = std::max(begin, static_cast<index>(std::floor(std::min(one, other))));
    end = std::min(end, static_cast<index>(std::ceil(std::max(one, other))));
    step *= static_cast<double>(from) / static_cast<double>(to);
    if (antialias) support = std::max(1.0, std::fabs(step));
  }
  double centre(index i) const { return origin + step * (static_cast<double>(i) + 0.5); }
};

/// A triangle of half width `support` about each centre, cut at the window, its sum 1: bilinear
/// interpolation where the support is 1.
AxisWeights triangle_weights(const AxisScale& s, const AxisMap& map, index length,
                             AxisWorkspace& workspace) {
  const index taps = std::min(static_cast<index>(std::ceil(2 * s.support)), length);
  workspace.first.reserve(map.n);
  workspace.weights.reserve(map.n * taps);
  workspace.exact.reserve(taps);
  double* exact = workspace.exact.data();
  for (index i = 0; i < map.n; ++i) {
    float* weights = workspace.weights.data() + i * taps;
    if (map.from[i] < 0) {
      workspace.first.data()[i] = map.from[i];
      std::fill_n(weights, taps, 0.0f);
      continue;
    }
    const double centre = s.centre(map.from[i]);
    const index low = std::max(s.begin, static_cast<index>(centre - s.support + 0.5));
    const index high = std::min(s.end, static_cast<index>(centre + s.support + 0.5));
    const index first = std::min(low, length - taps);
    double sum = 0;
    for (index t = 0; t < taps; ++t) {
      const index x = first + t;
      const double far = std::fabs(static_cast<double>(x) + 0.5 - centre) / s.support;
      exact[t] = x >= low && x < high ? std::max(0.0, 1 - far) : 0.0;
      sum += exact[t];
    }
    for (index t = 0; t < taps; ++t) weights[t] = static_cast<float>(exact[t] / sum);
    workspace.first.data()[i] = narrow(first);
  }
  return {workspace.first.data(), workspace.weights.data(), map.n, taps};
}

/// The nearest pixel of each of the map's.
AxisMap nearest_map(const AxisScale& s, const AxisMap& map, AxisWorkspace& workspace) {
  workspace.first.reserve(map.n);
  std::int32_t* nearest = workspace.first.data();
  for (index i = 0; i < map.n; ++i) {
    const std::int32_t from = map.from[i];
    const auto at = static_cast<index>(s.centre(from));
    nearest[i] = from < 0 ? from : narrow(std::clamp(at, s.begin, s.end - 1));
  }
  return {nearest, map.n, {0, 0}, 1};
}

Matrix operator*(const Matrix& a, const Matrix& b) {
  const double *p = a.at, *q = b.at;
  return {{p[0] * q[0] + p[1] * q[3], p[0] * q[1] + p[1] * q[4], p[0] * q[2] + p[1] * q[5] + p[2],
           p[3] * q[0] + p[4] * q[3], p[3] * q[1] + p[4] * q[4], p[3] * q[2] + p[4] * q[5] + p[5]}};
}

double whole(index i) { return static_cast<double>(i); }

Matrix matrix_of(const Geometry& op) {
  const double sx = whole(op.in.width) / whole(op.out.width);
  const double sy = whole(op.in.height) / whole(op.out.height);
  switch (op.kind) {
    case Geometry::flip_columns:
      return {{-1, 0, whole(op.in.width - 1), 0, 1, 0}};
    case Geometry::flip_rows:
      return {{1, 0, 0, 0, -1, whole(op.in.height - 1)}};
    case Geometry::crop:
      return {{1, 0, whole(op.left), 0, 1, whole(op.top)}};
    case Geometry::resize:
      return {{sx, 0, 0.5 * sx - 0.5, 0, sy, 0.5 * sy - 0.5}};
    case Geometry::affine:
      return op.matrix;
    case Geometry::lens:
      break;
  }
  return identity_matrix;
}

/// Whether a crop shows anything beyond its input.
bool leaves(const Geometry& op) {
  return op.top < 0 || op.left < 0 || op.top + op.out.height > op.in.height ||
         op.left + op.out.width > op.in.width;
}

bool changes_size(const Geometry& op) {
  return op.in.height != op.out.height || op.in.width != op.out.width;
}

bool shrinks(const Geometry& op) {
  return op.antialias && (op.out.height < op.in.height || op.out.width < op.in.width);
}

/// Collects the stages of a warp, the source's first. A map that needs no window of its own waits
/// until one comes: whole-pixel maps then move into its window, others into the stage before.
class WarpBuilder {
 public:
  explicit WarpBuilder(std::vector<WarpStage>& stages) : stages_(stages) { stages.clear(); }

  void add(const Geometry& op) {
    switch (op.kind) {
      case Geometry::crop:
        if (leaves(op)) return add_stage(op, op.border);
        break;
      case Geometry::resize:
        if (!changes_size(op)) return;
        if (stages_.empty()) return add_stage(op, Border::edge);
        pending_is_whole_ = false;
        break;
      case Geometry::affine:
      case Geometry::lens:
        return add_stage(op, Border::constant);
      case Geometry::flip_columns:
      case Geometry::flip_rows:
        break;
    }
    pending_ = pending_ * matrix_of(op);
  }

  void finish() {
    last_ = last_ * pending_;
    settle();
    std::reverse(stages_.begin(), stages_.end());
  }

 private:
  void add_stage(const Geometry& op, Border border) {
    if (!pending_is_whole_) {
      last_ = last_ * pending_;
      pending_ = identity_matrix;
      pending_is_whole_ = true;
    }
    if (!stages_.empty()) settle();
    WarpStage stage{};
    stage.border = border;
    stage.fill = op.fill;
    const double *p = pending_.at, right = whole(op.in.width - 1), low = whole(op.in.height - 1);
    stage.left = static_cast<index>(std::min(p[2], p[2] + p[0] * right));
    stage.top = static_cast<index>(std::min(p[5], p[5] + p[4] * low));
    stage.width = op.in.width;
    stage.height = op.in.height;
    if (op.kind == Geometry::lens) {
      stage.lens = true;
      stage.centre_x = static_cast<float>(p[2] + p[0] * right / 2);
      stage.centre_y = static_cast<float>(p[5] + p[4] * low / 2);
      stage.radius = static_cast<float>(
          std::sqrt(whole(op.in.width * op.in.width + op.in.height * op.in.height)) / 2);
      stage.k1 = static_cast<float>(op.k1);
      stage.k2 = static_cast<float>(op.k2);
    }
    stages_.push_back(stage);
    last_ = pending_ * matrix_of(op);
    pending_ = identity_matrix;
  }

  void settle() {
    for (int i = 0; i < 6; ++i) stages_.back().matrix[i] = static_cast<float>(last_.at[i]);
  }

  std::vector<WarpStage>& stages_;
  Matrix last_ = identity_matrix,
         pending_ = identity_matrix;  // of the stage that was added last; of what came after it
  bool pending_is_whole_ = true;
};

/// How many operations one resampling can do, and of what kind it is.
index joined(const Geometry* ops, index n, Resampling::Kind& kind) {
  kind = Resampling::copy;
  bool border = false, shrunk = false;
  for (index i = 0; i < n; ++i) {
    const Geometry& op = ops[i];
    if (op.kind == Geometry::crop) border |= leaves(op);
    if (op.kind == Geometry::resize && changes_size(op)) {
      if (kind == Resampling::warp ? shrinks(op) : border) return i;
      if (kind == Resampling::copy) kind = Resampling::resize;
      shrunk |= shrinks(op);
    }
    if (op.kind == Geometry::affine || op.kind == Geometry::lens) {
      if (shrunk) return i;
      kind = Resampling::warp;
    }
  }
  return n;
}

void map_axes(const Geometry* ops, index n, AxisMapper& rows, AxisMapper& columns) {
  for (index i = 0; i < n; ++i) {
    const Geometry& op = ops[i];
    if (op.kind == Geometry::flip_rows) rows.flip();
    if (op.kind == Geometry::flip_columns) columns.flip();
    if (op.kind == Geometry::crop) {
      rows.crop(op.top, op.out.height, op.border, op.fill);
      columns.crop(op.left, op.out.width, op.border, op.fill);
    }
  }
}

void scale(const Geometry* ops, index n, AxisScale& rows, AxisScale& columns) {
  for (index i = 0; i < n; ++i) {
    const Geometry& op = ops[i];
    if (op.kind == Geometry::flip_rows) rows.flip(op.in.height);
    if (op.kind == Geometry::flip_columns) columns.flip(op.in.width);
    if (op.kind == Geometry::crop) {
      rows.crop(op.top);
      columns.crop(op.left);
    }
    if (op.kind == Geometry::resize && changes_size(op)) {
      rows.resize(op.in.height, op.out.height, op.antialias);
      columns.resize(op.in.width, op.out.width, op.antialias);
    }
  }
}

}  // namespace

/// Up to the last resize axes are scaled; after it, pixels of the resized image are picked.
void Resampling::scale_axes(const Geometry* ops, index n, Extent source, bool nearest) {
  index last = n - 1;
  while (ops[last].kind != Geometry::resize || !changes_size(ops[last])) --last;
  AxisScale of_rows{.begin = 0, .end = source.height}, of_columns{.begin = 0, .end = source.width};
  scale(ops, last + 1, of_rows, of_columns);
  AxisMapper rows(ops[last].out.height, rows_), columns(ops[last].out.width, columns_);
  map_axes(ops + last + 1, n - last - 1, rows, columns);
  if (nearest) {
    kind = copy;
    row_map = nearest_map(of_rows, rows.map(), rows_);
    column_map = nearest_map(of_columns, columns.map(), columns_);
  } else {
    row_weights = triangle_weights(of_rows, rows.map(), source.height, rows_);
    column_weights = triangle_weights(of_columns, columns.map(), source.width, columns_);
  }
}

index Resampling::plan(const Geometry* ops, index n, Extent source, bool nearest) {
  const index used = joined(ops, n, kind);
  out = used > 0 ? ops[used - 1].out : source;
  if (kind == resize) {
    scale_axes(ops, used, source, nearest);
  } else if (kind == copy) {
    AxisMapper rows(source.height, rows_), columns(source.width, columns_);
    map_axes(ops, used, rows, columns);
    row_map = rows.map();
    column_map = columns.map();
  } else {
    WarpBuilder builder(stages);
    for (index i = 0; i < used; ++i) builder.add(ops[i]);
    builder.finish();
  }
  return used;
}

}  // namespace fanin
