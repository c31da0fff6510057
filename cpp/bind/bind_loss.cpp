#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/loss_spec.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr double flops_per_score = 30;  // mostly the exponential

void check_labels(const std::int32_t* labels, index rows, index classes) {
  for (index i = 0; i < rows; ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    throw py::value_error("y: expected labels in 0 .. " + std::to_string(classes - 1) + ", got " +
                          std::to_string(labels[i]) + " in row " + std::to_string(i));
  }
}

/// Labels are of so many classes: a logistic output alone has two.
index classes_of(Loss loss, index outputs) {
  return loss == Loss::logistic && outputs == 1 ? 2 : outputs;
}

template <class T>
py::tuple loss_of(const LossSpec& spec, const py::array& scores, const py::object& labels,
                  const py::object& soft, const py::object& weights, double scale,
                  bool with_gradient, int n_threads, const py::object& positive) {
  LossRows<T> a{};
  a.loss = spec.loss;
  a.mean = spec.mean;
  a.smoothing = T(spec.smoothing);
  a.sharpness = T(1 / spec.temperature);
  a.delta = T(spec.delta);
  a.scores = read<T>(scores, "scores", {any, any});
  const index rows = scores.shape(0);
  a.classes = a.stride = a.soft_stride = scores.shape(1);
  a.labels = read_optional<std::int32_t>(labels, "y", {rows});
  a.soft = read_optional<T>(soft, "y", {rows, a.classes});
  a.weights = read_optional<T>(weights, "sample_weight", {rows});
  if (!a.labels == !a.soft) throw py::value_error("y: expected either labels or soft targets");
  if (a.labels) check_labels(a.labels, rows, classes_of(a.loss, a.classes));
  check_outputs(spec, a.classes);
  const std::vector<T> levels = levels_of<T>(spec, a.classes);
  a.levels = levels.data();
  if (a.soft && a.loss == Loss::svm && a.classes > most_soft_svm_classes) {
    throw py::value_error("y: expected at most " + std::to_string(most_soft_svm_classes) +
                          " classes for svm with soft targets, got " + std::to_string(a.classes));
  }
  a.positive = read_optional<T>(positive, "positive", {a.classes});
  a.scale = static_cast<T>(scale);
  py::array_t<T> row_loss(rows);
  py::array_t<std::int32_t> predicted(rows);
  py::array_t<T> dscores({with_gradient ? rows : 0, a.classes});
  a.row_loss = row_loss.mutable_data();
  a.predicted = predicted.mutable_data();
  a.dscores = with_gradient ? dscores.mutable_data() : nullptr;
  without_gil([&] {
    const double flops = flops_per_score * static_cast<double>(rows * a.classes);
    parallel_for(rows, 16, useful_threads(n_threads, flops),
                 [&](index b, index e) { kernels<T>().loss_rows(a, {b, e}); });
  });
  return py::make_tuple(row_loss, with_gradient ? py::object(dscores) : py::none(), predicted);
}

template <class T>
py::array softmax_of(const py::array& scores, const py::object& out, int n_threads) {
  SoftmaxRows<T> a{};
  a.scores = read<T>(scores, "scores", {any, any});
  const index rows = scores.shape(0);
  a.classes = a.stride = scores.shape(1);
  py::array result = output<T>(out, "out", {rows, a.classes});
  a.probabilities = static_cast<T*>(result.mutable_data());
  if (a.probabilities != a.scores) require_disjoint(result, "out", scores, "scores");
  without_gil([&] {
    const double flops = flops_per_score * static_cast<double>(rows * a.classes);
    parallel_for(rows, 16, useful_threads(n_threads, flops),
                 [&](index b, index e) { kernels<T>().softmax_rows(a, {b, e}); });
  });
  return result;
}

}  // namespace

void bind_loss(py::module_& m) {
  make_class<LossSpec>(m, "Loss", "A loss with its options.")
      .def(py::init([](const std::string& name, bool mean, double smoothing, double temperature,
                       double delta, std::vector<double> quantiles) {
             if (!(temperature > 0)) throw py::value_error("temperature: expected above 0");
             return LossSpec{choice<Loss>("loss", name), mean, smoothing, temperature, delta,
                             std::move(quantiles)};
           }),
           py::arg("name"), py::kw_only(), py::arg("mean") = false, py::arg("smoothing") = 0.0,
           py::arg("temperature") = 1.0, py::arg("delta") = 1.0,
           py::arg("quantiles") = std::vector<double>{});
  m.attr("losses") = names_of<Loss>();
  m.attr("most_soft_svm_classes") = most_soft_svm_classes;
  m.def(
      "loss_rows",
      [](const py::object& loss, const py::array& scores, const py::object& labels,
         const py::object& soft, const py::object& weights, double scale, bool with_gradient,
         int n_threads, const py::object& positive) {
        return by_dtype(scores, "scores", [&](auto t) {
          return loss_of<decltype(t)>(spec_of(loss), scores, labels, soft, weights, scale,
                                      with_gradient, n_threads, positive);
        });
      },
      py::arg("loss"), py::arg("scores"), py::arg("labels"), py::arg("soft"), py::arg("weights"),
      py::arg("scale"), py::arg("with_gradient"), py::arg("n_threads"),
      py::arg("positive") = py::none(),
      "(row_loss, dscores or None, predicted): each row's weighted loss, its gradient times "
      "scale.");
  m.def(
      "softmax_rows",
      [](const py::array& scores, const py::object& out, int n_threads) {
        return by_dtype(scores, "scores",
                        [&](auto t) { return softmax_of<decltype(t)>(scores, out, n_threads); });
      },
      py::arg("scores"), py::arg("out"), py::arg("n_threads"),
      "Probabilities of each row; out may be scores itself.");
}

}  // namespace fanin::bind
