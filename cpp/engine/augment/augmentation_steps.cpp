#include <algorithm>

#include "engine/augment/augmentation_workspace.hpp"
#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

/// Back through torchvision's T C R S Sh C^-1 about the middle of the image, angles clockwise.
Matrix affine_matrix(Extent size, const Affine::Drawn& drawn) {
  const double half_turns[3] = {drawn.degrees / 180, drawn.shear_x / 180, drawn.shear_y / 180};
  double sine[3], cosine[3];
  kernels<double>().map(static_cast<int>(MathFunction::sinpi), half_turns, sine, 3);
  kernels<double>().map(static_cast<int>(MathFunction::cospi), half_turns, cosine, 3);
  const double sx = sine[1] / cosine[1], sy = sine[2] / cosine[2];
  const double by_x = 1 / (drawn.scale * drawn.stretch), by_y = 1 / drawn.scale;
  const double a = cosine[0] * by_x, b = sine[0] * by_x, c = -sine[0] * by_y, d = cosine[0] * by_y;
  const double m[4] = {(1 + sx * sy) * a + sx * c, (1 + sx * sy) * b + sx * d, sy * a + c,
                       sy * b + d};
  const double x = static_cast<double>(size.width - 1) / 2,
               y = static_cast<double>(size.height - 1) / 2;
  const double from_x = -x - static_cast<double>(drawn.translate_x);
  const double from_y = -y - static_cast<double>(drawn.translate_y);
  return {{m[0], m[1], m[0] * from_x + m[1] * from_y + x, m[2], m[3],
           m[2] * from_x + m[3] * from_y + y}};
}

}  // namespace

/// Collects geometric operations from o on; returns where others begin.
index Augmentation::Workspace::take_geometry(index o) {
  geometry_.clear();
  for (; o < plan_.size(); ++o) {
    const PlannedOp& op = plan_.op(o);
    const Drawn& drawn = drawn_[static_cast<std::size_t>(o)];
    if (!drawn.applied || op.begins_group()) continue;
    if (op.traits.geometric) {
      push_geometry(op, drawn);
    } else if (!mask_) {
      break;
    }
  }
  return o;
}

Geometry& Augmentation::Workspace::push(Geometry::Kind kind, Extent out) {
  Geometry& g = geometry_.emplace_back(kind, extent_, out);
  extent_ = out;
  return g;
}

void Augmentation::Workspace::push_crop(index top, index left, Extent size) {
  Geometry& g = push(Geometry::crop, size);
  g.top = top;
  g.left = left;
}

void Augmentation::Workspace::push_geometry(const PlannedOp& op, const Drawn& drawn) {
  const Extent in = extent_, out = op.result(in);
  const auto box = [&]() -> const Box& { return std::get<Box>(drawn.values); };
  std::visit(Cases{[&](const HorizontalFlip&) { push(Geometry::flip_columns, in); },
                   [&](const VerticalFlip&) { push(Geometry::flip_rows, in); },
                   [&](const Crop& o) {
                     push_crop(box().top - o.top, box().left - o.left, out);
                     geometry_.back().border = o.border;
                   },
                   [&](const CentreCrop&) { push_crop(box().top, box().left, out); },
                   [&](const CornerCrop& o) { push_corner(o, out); },
                   [&](const ResizedCrop& o) {
                     push_crop(box().top, box().left, {box().height, box().width});
                     push(Geometry::resize, out).antialias = o.antialias;
                   },
                   [&](const Resize& o) { push(Geometry::resize, out).antialias = o.antialias; },
                   [&](const Affine&) {
                     push(Geometry::affine, out).matrix =
                         affine_matrix(in, std::get<Affine::Drawn>(drawn.values));
                   },
                   [&](const Lens&) {
                     const auto& lens = std::get<Lens::Drawn>(drawn.values);
                     Geometry& g = push(Geometry::lens, out);
                     g.k1 = lens.k1;
                     g.k2 = lens.k2;
                   },
                   [](const auto&) {}},
             op.operation);
  geometry_.back().fill = static_cast<std::int32_t>(op.position);
}

/// The four corners, then the middle; from the fifth variant on, those of the flipped image.
void Augmentation::Workspace::push_corner(const CornerCrop& crop, Extent out) {
  const Extent in = extent_;
  if (variant_ >= 5) {
    push(crop.mirrored == Mirrored::rows ? Geometry::flip_rows : Geometry::flip_columns, in);
  }
  const int corner = variant_ % 5;
  if (corner == 4) {
    const Box middle = middle_box(in, out);
    return push_crop(middle.top, middle.left, out);
  }
  const bool low = corner == 2 || corner == 3, right = corner == 1 || corner == 3;
  push_crop(low ? in.height - out.height : 0, right ? in.width - out.width : 0, out);
}

/// Collects operations on pixels from o on; returns where geometric ones begin. Flips go before
/// colours, which are the same either way.
index Augmentation::Workspace::take_pixels(index o) {
  items_.clear();
  steps_.clear();
  for (; o < plan_.size(); ++o) {
    const PlannedOp& op = plan_.op(o);
    const Drawn& drawn = drawn_[static_cast<std::size_t>(o)];
    if (!drawn.applied || op.begins_group()) continue;
    if (op.traits.flips && std::ranges::all_of(items_, &Item::is_colour)) {
      push_geometry(op, drawn);
      continue;
    }
    if (op.traits.geometric) break;
    push_pixels(op, drawn);
  }
  return o;
}

void Augmentation::Workspace::push_pixels(const PlannedOp& op, const Drawn& drawn) {
  const auto box = [&](const PerChannel* value) {
    push_box(op, std::get<Box>(drawn.values), value);
  };
  std::visit(
      Cases{[&](const Jitter& o) { push_jitter(op, o, std::get<Jitter::Drawn>(drawn.values)); },
            [&](const Noise&) { items_.push_back({.kind = Item::noise, .op = &op}); },
            [&](const Erase& o) { box(o.random ? nullptr : &o.value); },
            [&](const Cutout& o) { box(&o.value); }, [&](const Normalize&) { normalized_ = true; },
            [&](const auto& o) {
              if constexpr (requires { o.step(); }) push_colour(o.step(), op);
            }},
      op.operation);
}

void Augmentation::Workspace::push_box(const PlannedOp& op, const Box& box,
                                       const PerChannel* value) {
  if (box.height < 1) return;
  items_.push_back({.kind = Item::box,
                    .op = &op,
                    .erased = {box, value, key_of(op), first_group()},
                    .normalized = normalized_});
}

void Augmentation::Workspace::push_colour(ColourStep step, const PlannedOp& op) {
  const bool contrast = step.kind == Colour::contrast;
  if (contrast || items_.empty() || items_.back().kind != Item::colour) {
    items_.push_back({.kind = Item::colour,
                      .op = &op,
                      .first_step = static_cast<int>(steps_.size()),
                      .needs_mean = contrast});
  }
  steps_.push_back(step);
  ++items_.back().steps;
}

void Augmentation::Workspace::push_jitter(const PlannedOp& op, const Jitter& jitter,
                                          const Jitter::Drawn& drawn) {
  const auto push = [&](Colour colour, Interval range, double factor, double nothing) {
    if (range.is(nothing)) return;
    push_colour({colour, static_cast<float>(factor), 0}, op);
  };
  for (const Colour colour : drawn.order) {
    switch (colour) {
      case Colour::brightness:
        push(colour, jitter.brightness, drawn.brightness, 1);
        break;
      case Colour::contrast:
        push(colour, jitter.contrast, drawn.contrast, 1);
        break;
      case Colour::saturation:
        push(colour, jitter.saturation, drawn.saturation, 1);
        break;
      default:
        push(colour, jitter.hue, drawn.hue, 0);
    }
  }
}

}  // namespace fanin
