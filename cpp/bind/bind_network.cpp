#include <pybind11/stl.h>

#include <algorithm>

#include "bind/engine.hpp"
#include "bind/rule.hpp"
#include "bind/signals.hpp"

namespace fanin::bind {

namespace {

template <class T>
void check_images(const Network<T>& net, const Data<T>& data, const BatchAugmentation& images) {
  if (data.dtype == DType::f64) {
    throw py::type_error("X: expected uint8 or float32 for augmentation, got float64");
  }
  const index size = images.output_size();
  if (size != net.in()) {
    throw py::value_error("augment: expected images of " + std::to_string(net.in()) +
                          " values after it, got " + std::to_string(size));
  }
}

template <class T>
Tuple<index, bool> train(Engine<T>& e, const py::array& x, const py::object& mean,
                         const py::object& scale, const py::object& labels, const py::object& soft,
                         const py::object& weights, const py::array& order, index batch,
                         index first_step, index last_step, std::uint64_t seed,
                         std::uint64_t first_stream, Rule& rule, std::vector<py::array> states,
                         const py::array& lr, double l2, double clip_norm, py::array losses,
                         py::array correct, int n_threads, double budget,
                         const BatchAugmenter* images, std::uint64_t epoch) {
  TrainingJob<T> job{};
  job.data = data_of(e.net, x, mean, scale, labels, soft, weights, images);
  BatchAugmentation augmentation{};
  if (images) {
    augmentation = images->at(epoch);
    check_images(e.net, job.data, augmentation);
    job.augmentation = &augmentation;
  }
  job.order = read<std::int64_t>(order, "order", {any});
  job.n_order = order.shape(0);
  job.batch = batch;
  job.first_step = first_step;
  job.last_step = last_step;
  job.seed = seed;
  job.first_stream = first_stream;
  job.rule = rule.spec;
  job.clock = rule.clock;
  for (std::size_t s = 0; s < states.size() && s < 3; ++s) {
    job.states[s] = write<T>(states[s], "optimizer state", {e.net.size()});
  }
  const index steps = last_step - first_step;
  job.lr = read<double>(lr, "lr", {steps});
  double* loss_out = write<double>(losses, "losses", {steps});
  auto* correct_out = write<std::int64_t>(correct, "correct", {steps});
  job.l2 = l2;
  job.clip_norm = clip_norm;
  job.threads = n_threads;
  job.budget = budget;
  const Training<T> permit(e);
  Trainer<T>& trainer = e.trainer_for(batch);
  TrainingProgress progress;
  try {
    without_gil([&] { progress = trainer.run(job, loss_out, correct_out, poll_signals); });
  } catch (...) {
    rule.clock = job.clock;
    throw;
  }
  rule.clock = job.clock;
  return py::make_tuple(progress.steps, progress.diverged);
}

template <class T>
void bind_engine(py::module_& m, const char* name) {
  using E = Engine<T>;
  py::class_<E>(m, name)
      .def(py::init<const typename E::Specs&, int, bool, bool, bool>(), py::arg("layers"),
           py::arg("loss"), py::arg("vanilla"), py::arg("row_masks"), py::arg("moments"))
      .def_property_readonly(
          "parameters",
          [](py::object self) {
            auto& e = self.cast<E&>();
            return py::array_t<T>(e.net.size(), e.net.params(), self);
          },
          "The arena, as one flat array that shares its memory.")
      .def_property_readonly(
          "offsets",
          [](const E& e) {
            std::vector<std::pair<index, index>> offsets;
            for (std::size_t l = 0; l < e.net.layers().size(); ++l) {
              offsets.emplace_back(e.net.weight_offset(l), e.net.bias_offset(l));
            }
            return offsets;
          },
          "(weights, biases) of each layer: where they begin in the arena.")
      .def("train", &train<T>, py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("labels"),
           py::arg("soft"), py::arg("weights"), py::arg("order"), py::arg("batch"),
           py::arg("first_step"), py::arg("last_step"), py::arg("seed"), py::arg("first_stream"),
           py::arg("rule"), py::arg("states"), py::arg("lr"), py::arg("l2"), py::arg("clip_norm"),
           py::arg("losses"), py::arg("correct"), py::arg("n_threads"), py::arg("budget"),
           py::arg("images") = nullptr, py::arg("epoch") = 0,
           "(steps done, diverged): steps of an epoch until the budget in seconds is spent.")
      .def(
          "gradient",
          [](E& e, const py::array& x, const py::object& mean, const py::object& scale,
             const py::object& labels, const py::object& soft, const py::object& weights, double l2,
             bool dropout, std::uint64_t seed, std::uint64_t step, int n_threads) {
            const Data<T> d = data_of(e.net, x, mean, scale, labels, soft, weights);
            py::array_t<T> gradient(e.net.size());
            std::fill_n(gradient.mutable_data(), e.net.size(), T(0));
            T* g = gradient.mutable_data();
            const typename Network<T>::DropoutKey key{seed, step, 0};
            Trainer<T> trainer(e.net, d.n);  // of its own: a fit may be running
            Evaluation result;
            without_gil([&] {
              result =
                  trainer.gradient(d, l2, g, n_threads, dropout ? &key : nullptr, poll_signals);
            });
            return py::make_tuple(result.loss, gradient);
          },
          py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("labels"), py::arg("soft"),
          py::arg("weights"), py::arg("l2"), py::arg("dropout"), py::arg("seed"), py::arg("step"),
          py::arg("n_threads"), "(loss, gradient in the arena's layout) over all rows.")
      .def(
          "scores",
          [](const E& e, const py::array& x, const py::object& mean, const py::object& scale,
             int n_threads) {
            const Data<T> d = data_of(e.net, x, mean, scale, py::none(), py::none(), py::none());
            py::array_t<T> out({d.n, e.net.out()});
            T* to = out.mutable_data();
            without_gil([&] { e.net.scores(d, to, n_threads, poll_signals); });
            return out;
          },
          py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("n_threads"),
          "Outputs of the last layer, (N, out).")
      .def(
          "evaluate",
          [](const E& e, const py::array& x, const py::object& mean, const py::object& scale,
             const py::object& labels, const py::object& soft, const py::object& weights,
             int n_threads) {
            const Data<T> d = data_of(e.net, x, mean, scale, labels, soft, weights);
            Evaluation result;
            without_gil([&] { result = e.net.evaluate(d, n_threads, poll_signals); });
            return py::make_tuple(result.loss, result.correct);
          },
          py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("labels"), py::arg("soft"),
          py::arg("weights"), py::arg("n_threads"), "(mean loss, rows predicted right).");
}

}  // namespace

void bind_network(py::module_& m) {
  bind_engine<float>(m, "Engine32");
  bind_engine<double>(m, "Engine64");
}

}  // namespace fanin::bind
