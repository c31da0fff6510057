#include <algorithm>

#include "engine/augment/augmentation_room.hpp"
#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

index whole(double x) { return static_cast<index>(x); }

/// Back through torchvision's T C R S Sh C^-1 about the middle of the image, angles clockwise.
Matrix affine_matrix(Extent size, const double* value) {
  const double half_turns[3] = {value[0] / 180, value[5] / 180, value[6] / 180};
  double sine[3], cosine[3];
  kernels<double>().map(static_cast<int>(MathFunction::sinpi), half_turns, sine, 3);
  kernels<double>().map(static_cast<int>(MathFunction::cospi), half_turns, cosine, 3);
  const double sx = sine[1] / cosine[1], sy = sine[2] / cosine[2];
  const double by_x = 1 / (value[3] * value[4]), by_y = 1 / value[3];
  const double a = cosine[0] * by_x, b = sine[0] * by_x, c = -sine[0] * by_y, d = cosine[0] * by_y;
  const double m[4] = {(1 + sx * sy) * a + sx * c, (1 + sx * sy) * b + sx * d, sy * a + c,
                       sy * b + d};
  const double x = static_cast<double>(size.width - 1) / 2,
               y = static_cast<double>(size.height - 1) / 2;
  const double from_x = -x - value[1], from_y = -y - value[2];
  return {{m[0], m[1], m[0] * from_x + m[1] * from_y + x, m[2], m[3],
           m[2] * from_x + m[3] * from_y + y}};
}

}  // namespace

/// Collects geometric operations from o on; returns where others begin.
index Augmentation::Room::take_geometry(index o) {
  geometry_.clear();
  for (; o < plan_.size(); ++o) {
    const PlannedOp& op = plan_.op(o);
    const Drawn& drawn = drawn_[static_cast<std::size_t>(o)];
    if (!drawn.applied || op.begins_group()) continue;
    if (op.is_geometric()) {
      push_geometry(op, drawn);
    } else if (!mask_) {
      break;
    }
  }
  return o;
}

Geometry& Augmentation::Room::push(Geometry::Kind kind, Extent out) {
  Geometry& g = geometry_.emplace_back(kind, extent_, out);
  extent_ = out;
  return g;
}

void Augmentation::Room::push_crop(index top, index left, Extent size) {
  Geometry& g = push(Geometry::crop, size);
  g.top = top;
  g.left = left;
}

void Augmentation::Room::push_geometry(const PlannedOp& op, const Drawn& drawn) {
  const double *n = op.number, *value = drawn.value;
  const Extent in = extent_, out = op.result(in);
  switch (op.kind) {
    case AugmentKind::hflip:
      push(Geometry::flip_columns, in);
      break;
    case AugmentKind::vflip:
      push(Geometry::flip_rows, in);
      break;
    case AugmentKind::crop:
      push_crop(whole(value[0]) - whole(n[3]), whole(value[1]) - whole(n[2]), out);
      geometry_.back().border = static_cast<Border>(static_cast<int>(n[6]));
      break;
    case AugmentKind::centre_crop:
      push_crop(whole(value[0]), whole(value[1]), out);
      break;
    case AugmentKind::corner_crop: {
      if (variant_ >= 5) push(n[2] == 2 ? Geometry::flip_rows : Geometry::flip_columns, in);
      const int corner = variant_ % 5;
      const bool low = corner == 2 || corner == 3, right = corner == 1 || corner == 3;
      const index top = low ? in.height - out.height : 0, left = right ? in.width - out.width : 0;
      push_crop(corner == 4 ? whole(value[0]) : top, corner == 4 ? whole(value[1]) : left, out);
      break;
    }
    case AugmentKind::resized_crop:
      push_crop(whole(value[0]), whole(value[1]), {whole(value[2]), whole(value[3])});
      push(Geometry::resize, out).antialias = n[6] != 0;
      break;
    case AugmentKind::resize:
      push(Geometry::resize, out).antialias = n[2] != 0;
      break;
    case AugmentKind::affine:
      push(Geometry::affine, out).matrix = affine_matrix(in, value);
      break;
    default: {
      Geometry& g = push(Geometry::lens, out);
      g.k1 = value[0];
      g.k2 = value[1];
    }
  }
  geometry_.back().fill = static_cast<std::int32_t>(op.position);
}

/// Collects operations on pixels from o on; returns where geometric ones begin. Flips go before
/// colours, which are the same either way.
index Augmentation::Room::take_pixels(index o) {
  items_.clear();
  steps_.clear();
  for (; o < plan_.size(); ++o) {
    const PlannedOp& op = plan_.op(o);
    const Drawn& drawn = drawn_[static_cast<std::size_t>(o)];
    if (!drawn.applied || op.begins_group()) continue;
    const bool flips = op.kind == AugmentKind::hflip || op.kind == AugmentKind::vflip;
    if (flips && std::ranges::all_of(items_, &Item::is_colour)) {
      push_geometry(op, drawn);
      continue;
    }
    if (op.is_geometric()) break;
    switch (op.kind) {
      case AugmentKind::jitter:
        push_jitter(op, drawn.value);
        break;
      case AugmentKind::grayscale:
        push_colour({Colour::grayscale, 0, 0}, op);
        break;
      case AugmentKind::noise:
        items_.push_back({Item::noise, false, false, 0, 0, &op});
        break;
      case AugmentKind::normalize:
        normalized_ = true;
        break;
      default:
        if (drawn.value[2] > 0) items_.push_back({Item::box, false, normalized_, 0, 0, &op});
    }
  }
  return o;
}

void Augmentation::Room::push_colour(ColourStep step, const PlannedOp& op) {
  const bool contrast = step.kind == Colour::contrast;
  if (contrast || items_.empty() || items_.back().kind != Item::colour) {
    items_.push_back({Item::colour, contrast, false, static_cast<int>(steps_.size()), 0, &op});
  }
  steps_.push_back(step);
  ++items_.back().steps;
}

void Augmentation::Room::push_jitter(const PlannedOp& op, const double* value) {
  for (int i = 0; i < 4; ++i) {
    const int which = static_cast<int>(value[4 + i]);
    const double nothing = which == 3 ? 0 : 1;
    const double *low = op.number + 2 * which, *high = low + 1;
    if (*low == nothing && *high == nothing) continue;
    push_colour({static_cast<Colour>(which), static_cast<float>(value[which]), 0}, op);
  }
}

}  // namespace fanin
