#pragma once
// Data and jobs as Python holds them: named fields, whose references keep the arrays alive. Values
// are checked where a network takes them, since shapes and types are the network's.
#include <pybind11/stl.h>

#include <vector>

#include "bind/arrays.hpp"
#include "bind/batch_augmentation.hpp"
#include "bind/rule.hpp"
#include "engine/network/training.hpp"

namespace fanin::bind {

/// Rows with their targets: see fanin::Data.
struct TrainingData {
  py::object x;                                             // an array, or sparse rows
  py::object mean, scale, labels, soft, weights, positive;  // or None
};

/// The arguments that the networks of a call share: see fanin::TrainingJob.
struct TrainingJob {
  TrainingData data;
  py::array order;
  index batch;
  std::uint64_t seed;
  double clip_norm, budget;
  int n_threads;
  py::object images;  // BatchAugmenter or None
  std::uint64_t epoch = 0, first_stream = 0;

  const BatchAugmenter* augmenter() const {
    return images.is_none() ? nullptr : &images.cast<const BatchAugmenter&>();
  }
  index steps() const { return (order.size() + batch - 1) / batch; }
};

/// The arguments of each network: see fanin::Learner. lr, losses and correct have an item for each
/// step of the epoch.
struct Learner {
  py::object rule;
  std::vector<py::array> states;
  double l2;
  py::array lr, losses, correct;
  bool diverged = false;
  index steps = 0;

  Rule& own_rule() const { return rule.cast<Rule&>(); }
};

template <class T>
Data<T> data_of(const Network<T>& net, const TrainingData& given,
                const BatchAugmenter* images = nullptr) {
  Data<T> d{};
  const index in = images ? images->height * images->width * images->channels : net.in();
  static_cast<Rows&>(d) = read_rows(given.x, "X", in);
  if (images && !d.packed()) throw py::value_error("X: expected C-contiguous images to augment");
  if (given.mean.is_none() != given.scale.is_none()) {
    throw py::value_error("mean, scale: expected both or neither");
  }
  if (!given.mean.is_none()) {
    d.per_column = py::reinterpret_borrow<py::array>(given.mean).size() != 1;
    const index n = d.per_column ? net.in() : 1;
    d.mean = read_optional<double>(given.mean, "mean", {n});
    d.scale = read_optional<double>(given.scale, "scale", {n});
  }
  d.labels = read_optional<std::int32_t>(given.labels, "y", {d.n});
  d.soft = read_optional<T>(given.soft, "y", {d.n, net.out()});
  d.weights = read_optional<T>(given.weights, "sample_weight", {d.n});
  d.positive = read_optional<T>(given.positive, "positive", {net.out()});
  return d;
}

/// The same with targets, for a loss.
template <class T>
Data<T> targeted_data_of(const Network<T>& net, const TrainingData& given,
                         const BatchAugmenter* images = nullptr) {
  const Data<T> d = data_of(net, given, images);
  if (!d.labels == !d.soft) throw py::value_error("y: expected labels or soft targets");
  return d;
}

/// The job for steps [first, last), without augmentation.
template <class T>
fanin::TrainingJob<T> job_of(const Network<T>& net, const TrainingJob& job, index first,
                             index last) {
  fanin::TrainingJob<T> to{};
  to.data = targeted_data_of(net, job.data, job.augmenter());
  to.order = read<std::int64_t>(job.order, "order", {any});
  if (first < 0 || last < first || last > job.steps()) {
    throw py::value_error("first, last: expected steps among the epoch's " +
                          std::to_string(job.steps()) + ", got " + std::to_string(first) + ", " +
                          std::to_string(last));
  }
  to.n_order = job.order.size();
  to.batch = job.batch;
  to.first_step = first;
  to.last_step = last;
  to.seed = job.seed;
  to.first_stream = job.first_stream;
  to.clip_norm = job.clip_norm;
  to.threads = job.n_threads;
  to.budget = job.budget;
  return to;
}

/// A network's part of the job, from step `first` on; its parameters are `size` numbers.
template <class T>
fanin::Learner<T> learner_of(Learner& given, index size, index steps, index first) {
  fanin::Learner<T> l{};
  Rule& rule = given.own_rule();
  l.rule = rule.spec;
  l.clock = &rule.clock;
  for (std::size_t s = 0; s < given.states.size() && s < 3; ++s) {
    l.states[s] = write<T>(given.states[s], "optimizer state", {size});
  }
  l.lr = read<double>(given.lr, "lr", {steps}) + first;
  l.l2 = given.l2;
  l.losses = write<double>(given.losses, "losses", {steps}) + first;
  l.correct = write<std::int64_t>(given.correct, "correct", {steps}) + first;
  l.diverged = given.diverged;
  return l;
}

}  // namespace fanin::bind
