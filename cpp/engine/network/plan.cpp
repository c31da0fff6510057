#include "engine/network/plan.hpp"

namespace fanin {

namespace {

using Kind = Instruction::Kind;

class Planner {
 public:
  Planner(const Graph& graph, bool fuse, bool bf16)
      : graph_(graph),
        fuse_(fuse),
        bf16_(bf16),
        stages_(1),
        begun_(graph.slots().size()),
        derived_(graph.ops().size()) {}

  std::vector<Stage> run() {
    const std::size_t n = graph_.ops().size();
    add({Kind::load});
    for (std::size_t o = 0; o < n; ++o) {
      if (graph_.ops()[o].kind == OpKind::batch_norm) end_stage(Reduction::statistics, o);
      if (packs(graph_.ops()[o])) add({Kind::pack_input, o});
      add({Kind::forward, o});
    }
    add({Kind::loss});
    for (std::size_t o = n; o-- > 0;) back_through(o);
    return std::move(stages_);
  }

 private:
  bool packs(const Op& op) const { return bf16_ && op.kind == OpKind::dense; }
  void add(Instruction i) { stages_.back().instructions.push_back(i); }

  void end_stage(Reduction reduction, std::size_t o) {
    stages_.back().reduction = reduction;
    stages_.back().op = o;
    stages_.emplace_back();
  }

  void back_through(std::size_t o) {
    const Op& op = graph_.ops()[o];
    if (!fuse_) add({Kind::observe, o});
    if (op.has_derivative() && !derived_[o]) add({Kind::derive, o});
    if (op.kind == OpKind::batch_norm) end_stage(Reduction::gradients, o);
    if (packs(op)) add({Kind::pack_gradient, o});
    const Slot& input = graph_.slots()[op.in];
    if (input.producer == no_op) return;  // data have no gradient
    const bool completes = input.consumers.front() == o;
    const bool can_derive = op.kind == OpKind::dense || op.kind == OpKind::add;
    derived_[input.producer] = fuse_ && completes && can_derive;
    add({Kind::backward, o, begun_[op.in], derived_[input.producer]});
    begun_[op.in] = true;
    if (op.kind == OpKind::add) begun_[op.in2] = true;
  }

  const Graph& graph_;
  const bool fuse_, bf16_;
  std::vector<Stage> stages_;
  std::vector<bool> begun_, derived_;  // of slots: a gradient has been written; of ops
};

}  // namespace

std::vector<Stage> plan(const Graph& graph, bool fuse, bool bf16) {
  return Planner(graph, fuse, bf16).run();
}

}  // namespace fanin
