#include "engine/augment/augmentation.hpp"

#include <algorithm>
#include <stdexcept>

#include "engine/augment/augmentation_plan.hpp"
#include "engine/augment/augmentation_workspace.hpp"

namespace fanin {

namespace {

std::string text(Extent e) { return std::to_string(e.height) + " x " + std::to_string(e.width); }

bool same(Extent a, Extent b) { return a.height == b.height && a.width == b.width; }

bool holds(Extent outer, Extent inner) {
  return outer.height >= inner.height && outer.width >= inner.width;
}

void require(const PlannedOp& op, Extent least, Extent got, const std::string& way_out) {
  if (holds(got, least)) return;
  refuse(op.traits,
         "expected an image of at least " + text(least) + ", got " + text(got) + way_out);
}

/// What must hold of an operation's input.
void check_fits(const PlannedOp& op, Extent in) {
  const Extent size = op.result(in);
  std::visit(Cases{[&](const Cutout& o) {
                     if (o.inside)
                       require(op, {o.height, o.width}, in, "; border=\"clip\" takes any");
                   },
                   [&](const CentreCrop&) { require(op, size, in, "; Resize first"); },
                   [&](const CornerCrop&) { require(op, size, in, "; Resize first"); },
                   [&](const Crop& o) {
                     const Extent padded = o.padded(in);
                     const index missing = std::max(size.height - in.height, size.width - in.width);
                     if (holds(padded, size)) return;
                     refuse(op.traits, "expected an image of at least " + text(size) +
                                           " after padding, got " + text(padded) +
                                           "; pass padding=" + std::to_string((missing + 1) / 2) +
                                           " or more, or Resize first");
                   },
                   [](const auto&) {}},
             op.operation);
}

using Ops = std::vector<PlannedOp>;

Extent size_after(const Ops& ops, index begin, index end, Extent in);

/// The size after the groups that begin at o, which goes to the last operation of them.
Extent size_after_groups(const Ops& ops, index& o, Extent in) {
  const PlannedOp& op = ops[static_cast<std::size_t>(o)];
  Extent size = in;
  bool first = true;
  for (const index operations : op.groups) {
    const index begin = o + 1, end = begin + operations;
    const Extent one = size_after(ops, begin, end, in);
    if (!first && !same(one, size)) {
      refuse(op.traits,
             "expected transforms that give one size, got " + text(size) + " and " + text(one));
    }
    size = one;
    first = false;
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
      refuse(op.traits, "expected transforms that keep the size where p is below 1, got " +
                            text(in) + " without and " + text(out) + " with them");
    }
    in = out;
  }
  return in;
}

}  // namespace

Augmentation::Augmentation(std::vector<Step> steps, std::uint64_t seed, Interval range)
    : plan_(std::make_unique<Plan>(std::move(steps), seed, range)) {}

Augmentation::~Augmentation() = default;

const std::vector<Step>& Augmentation::steps() const { return plan_->steps; }
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

Augmentation::WorkspacePointer Augmentation::workspace() const {
  return WorkspacePointer(new Workspace(*plan_));
}
void Augmentation::WorkspaceDeleter::operator()(Workspace* workspace) const { delete workspace; }

void Augmentation::apply(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
                         const Output& out, Workspace& workspace) const {
  draw(sample, epoch, {image.height, image.width}, workspace.drawn());
  workspace.run(image, sample, epoch, variant, out);
}

}  // namespace fanin
