#include "engine/network/many.hpp"

#include "bind/engine.hpp"
#include "bind/rule.hpp"
#include "bind/signals.hpp"

namespace fanin::bind {

namespace {

/// Networks that train side by side; Python's objects live as long.
template <class T>
struct ManyEngines {
  ManyEngines(const std::vector<Engine<T>*>& given, index batch)
      : engines(given), many(networks_of(given), batch) {}

  static std::vector<Network<T>*> networks_of(const std::vector<Engine<T>*>& engines) {
    std::vector<Network<T>*> networks;
    for (Engine<T>* e : engines) networks.push_back(&checked(e->net, engines.front()->net));
    if (networks.empty()) throw py::value_error("engines: expected at least one, got none");
    return networks;
  }

  static Network<T>& checked(Network<T>& net, const Network<T>& first) {
    const auto masks = [](const LayerSpec& l) { return l.masks_weights(); };
    const bool alike = net.in() == first.in() && net.out() == first.out() &&
                       net.layers().front().out == first.layers().front().out;
    if (!alike || std::any_of(net.layers().begin(), net.layers().end(), masks)) {
      throw py::value_error(
          "engines: expected networks with one shape of the first layer, as many outputs and no "
          "DropConnect");
    }
    return net;
  }

  const Network<T>& first() const { return engines.front()->net; }

  std::vector<Engine<T>*> engines;
  Many<T> many;
};

template <class T>
std::vector<Learner<T>> learners_of(const ManyEngines<T>& m, const std::vector<Rule*>& rules,
                                    const std::vector<std::vector<py::array>>& states,
                                    const std::vector<py::array>& lr, const std::vector<double>& l2,
                                    std::vector<py::array>& losses, std::vector<py::array>& correct,
                                    const std::vector<bool>& diverged, index steps) {
  const std::size_t n = m.engines.size();
  for (const std::size_t size : {rules.size(), states.size(), lr.size(), l2.size(), losses.size(),
                                 correct.size(), diverged.size()}) {
    if (size != n) throw py::value_error("train: expected lists of one item for each network");
  }
  std::vector<Learner<T>> learners(n);
  for (std::size_t i = 0; i < n; ++i) {
    Learner<T>& l = learners[i];
    l.rule = rules[i]->spec;
    l.clock = rules[i]->clock;
    for (std::size_t s = 0; s < states[i].size() && s < 3; ++s) {
      py::array state = states[i][s];
      l.states[s] = write<T>(state, "optimizer state", {m.engines[i]->net.size()});
    }
    l.lr = read<double>(lr[i], "lr", {steps});
    l.l2 = l2[i];
    l.losses = write<double>(losses[i], "losses", {steps});
    l.correct = write<std::int64_t>(correct[i], "correct", {steps});
    l.diverged = diverged[i];
  }
  return learners;
}

template <class T>
Tuple<index, std::vector<index>, std::vector<bool>> train(
    ManyEngines<T>& m, const py::array& x, const py::object& mean, const py::object& scale,
    const py::object& labels, const py::object& soft, const py::object& weights,
    const py::array& order, index first_step, index last_step, std::uint64_t seed,
    std::uint64_t first_stream, const std::vector<Rule*>& rules,
    const std::vector<std::vector<py::array>>& states, const std::vector<py::array>& lr,
    const std::vector<double>& l2, std::vector<py::array> losses, std::vector<py::array> correct,
    const std::vector<bool>& diverged, double budget) {
  ManyJob<T> job{};
  job.data = data_of(m.first(), x, mean, scale, labels, soft, weights);
  job.order = read<std::int64_t>(order, "order", {any});
  job.n_order = order.shape(0);
  job.batch = m.many.batch();
  job.first_step = first_step;
  job.last_step = last_step;
  job.seed = seed;
  job.first_stream = first_stream;
  job.budget = budget;
  auto learners =
      learners_of(m, rules, states, lr, l2, losses, correct, diverged, last_step - first_step);
  std::vector<std::unique_ptr<Training<T>>> permits;
  for (Engine<T>* e : m.engines) permits.push_back(std::make_unique<Training<T>>(*e));
  index done = 0;
  const auto put_clocks_back = [&] {
    for (std::size_t i = 0; i < rules.size(); ++i) rules[i]->clock = learners[i].clock;
  };
  try {
    without_gil([&] { done = m.many.train(job, learners, poll_signals); });
  } catch (...) {
    put_clocks_back();
    throw;
  }
  put_clocks_back();
  std::vector<index> steps;
  std::vector<bool> ended;
  for (const Learner<T>& l : learners) {
    steps.push_back(l.steps);
    ended.push_back(l.diverged);
  }
  return py::make_tuple(done, steps, ended);
}

template <class T>
void bind_many_of(py::module_& m, const char* name) {
  using M = ManyEngines<T>;
  py::class_<M>(m, name)
      .def(py::init<const std::vector<Engine<T>*>&, index>(), py::arg("engines"), py::arg("batch"),
           py::keep_alive<1, 2>())
      .def("train", &train<T>, py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("labels"),
           py::arg("soft"), py::arg("weights"), py::arg("order"), py::arg("first_step"),
           py::arg("last_step"), py::arg("seed"), py::arg("first_stream"), py::arg("rules"),
           py::arg("states"), py::arg("lr"), py::arg("l2"), py::arg("losses"), py::arg("correct"),
           py::arg("diverged"), py::arg("budget"),
           "(steps, whole steps of each network, who has diverged): steps of an epoch until the "
           "budget in seconds is spent.")
      .def(
          "evaluate",
          [](M& e, const py::array& x, const py::object& mean, const py::object& scale,
             const py::object& labels, const py::object& soft, const py::object& weights) {
            const Data<T> d = data_of(e.first(), x, mean, scale, labels, soft, weights);
            std::vector<Evaluation> results;
            without_gil([&] { results = e.many.evaluate(d, poll_signals); });
            std::vector<std::pair<double, index>> pairs;
            for (const Evaluation& r : results) pairs.emplace_back(r.loss, r.correct);
            return pairs;
          },
          py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("labels"), py::arg("soft"),
          py::arg("weights"), "(mean loss, rows predicted right) of each network.");
}

}  // namespace

void bind_many(py::module_& m) {
  bind_many_of<float>(m, "Many32");
  bind_many_of<double>(m, "Many64");
}

}  // namespace fanin::bind
