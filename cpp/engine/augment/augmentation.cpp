#include "engine/augment/augmentation.hpp"

#include <algorithm>
#include <stdexcept>

#include "engine/augment/augmentation_plan.hpp"
#include "engine/augment/augmentation_room.hpp"

namespace fanin {

namespace {

std::string text(Extent e) { return std::to_string(e.height) + " x " + std::to_string(e.width); }

bool same(Extent a, Extent b) { return a.height == b.height && a.width == b.width; }

void require(bool fits, AugmentKind kind, Extent least, Extent got, const std::string& way_out) {
  if (fits) return;
  refuse(kind, "expected an image of at least " + text(least) + ", got " + text(got) + way_out);
}

/// What must hold of an operation's input.
void check_fits(const PlannedOp& op, Extent in) {
  const auto number = [&](int i) { return static_cast<index>(op.number[i]); };
  const auto holds = [](Extent outer, Extent inner) {
    return outer.height >= inner.height && outer.width >= inner.width;
  };
  const Extent size = op.result(in);
  if (op.kind == AugmentKind::cutout && op.number[2] != 0) {
    const Extent box{number(0), number(1)};
    require(holds(in, box), op.kind, box, in, "; border=\"clip\" takes any");
  }
  if (op.kind == AugmentKind::centre_crop || op.kind == AugmentKind::corner_crop) {
    require(holds(in, size), op.kind, size, in, "; Resize first");
  }
  if (op.kind == AugmentKind::crop) {
    const Extent padded{in.height + number(3) + number(5), in.width + number(2) + number(4)};
    const index missing = std::max(size.height - in.height, size.width - in.width);
    if (holds(padded, size)) return;
    refuse(op.kind, "expected an image of at least " + text(size) + " after padding, got " +
                        text(padded) + "; pass padding=" + std::to_string((missing + 1) / 2) +
                        " or more, or Resize first");
  }
}

using Ops = std::vector<PlannedOp>;

Extent size_after(const Ops& ops, index begin, index end, Extent in);

/// The size after the groups that begin at o, which goes to the last operation of them.
Extent size_after_groups(const Ops& ops, index& o, Extent in) {
  const PlannedOp& op = ops[static_cast<std::size_t>(o)];
  Extent size = in;
  for (index g = 0; g < op.groups(); ++g) {
    const index begin = o + 1, end = begin + op.group_size(g);
    const Extent one = size_after(ops, begin, end, in);
    if (g > 0 && !same(one, size)) {
      refuse(op.kind,
             "expected transforms that give one size, got " + text(size) + " and " + text(one));
    }
    size = one;
    o = end - 1;
  }
  return size;
}

/// The size after the operations, whatever is drawn.
Extent size_after(const Ops& ops, index begin, index end, Extent in) {
  for (index o = begin; o < end; ++o) {
    const PlannedOp& op = ops[static_cast<std::size_t>(o)];
    const bool never = op.threshold == 0;
    if (!never && !op.begins_group()) check_fits(op, in);
    const Extent out = op.begins_group() ? size_after_groups(ops, o, in) : op.result(in);
    if (never) continue;
    if (!op.sure() && !same(in, out)) {
      refuse(op.kind, "expected transforms that keep the size where p is below 1, got " + text(in) +
                          " without and " + text(out) + " with them");
    }
    in = out;
  }
  return in;
}

}  // namespace

Augmentation::Augmentation(std::vector<AugmentOp> ops, std::uint64_t seed)
    : plan_(std::make_unique<Plan>(std::move(ops), seed)) {}

Augmentation::~Augmentation() = default;

const std::vector<AugmentOp>& Augmentation::ops() const { return plan_->ops; }
int Augmentation::variants() const { return plan_->variants; }
bool Augmentation::normalizes() const { return plan_->normalizes; }

double Augmentation::flops(Extent input) const {
  return plan_->flops_per_value * static_cast<double>(input.height) *
         static_cast<double>(input.width);
}

Extent Augmentation::output(Extent input) const {
  if (input.height < 1 || input.width < 1) {
    throw std::invalid_argument("images: expected at least 1 x 1 pixels, got " + text(input));
  }
  return size_after(plan_->planned, 0, plan_->size(), input);
}

Augmentation::RoomPointer Augmentation::room() const { return RoomPointer(new Room(*plan_)); }
void Augmentation::RoomDeleter::operator()(Room* room) const { delete room; }

void Augmentation::apply(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
                         const Output& out, Room& room) const {
  draw(sample, epoch, {image.height, image.width}, room.drawn());
  room.run(image, sample, epoch, variant, out);
}

}  // namespace fanin
