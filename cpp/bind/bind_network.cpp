#include <pybind11/stl.h>

#include <optional>

#include "bind/classes.hpp"
#include "bind/engine.hpp"
#include "bind/gil.hpp"
#include "bind/loss_spec.hpp"
#include "bind/names.hpp"
#include "bind/training_job.hpp"
#include "bind/training_state.hpp"
#include "engine/network/gradient.hpp"

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
void train(Engine<T>& e, const TrainingJob& given, Learner& learner, index first, index last) {
  const TrainingJob held = given;  // the arrays, also where another thread sets others meanwhile
  Learner own = learner;
  fanin::TrainingJob<T> job = job_of(e.net, held, first, last);
  BatchAugmentation augmentation{};
  if (const BatchAugmenter* images = held.augmenter()) {
    augmentation = images->at(held.epoch);
    check_images(e.net, job.data, augmentation);
    job.augmentation = &augmentation;
  }
  std::vector learners{learner_of<T>(own, e.net.size(), held.steps(), first)};
  const Training<T> permit(e);
  Trainer<T>& trainer = e.trainer_for(held.batch);
  without_gil([&] { trainer.run(job, learners, poll_signals); });
  learner.steps = learners[0].steps;
  learner.diverged = learners[0].diverged;
}

template <class T>
Tuple<double, py::array_t<T>> gradient(Engine<T>& e, const TrainingData& data, double l2,
                                       std::uint64_t seed,
                                       std::optional<std::uint64_t> dropout_step, int n_threads) {
  const Data<T> d = targeted_data_of(e.net, data);
  py::array_t<T> gradient(e.net.size());
  T* g = gradient.mutable_data();
  std::fill_n(g, e.net.size(), T(0));
  const DropoutKey<T> key{seed, dropout_step.value_or(0), 0};
  Evaluation result;
  without_gil([&] {
    const Reading reading(e.net.lock(), poll_signals);
    result = loss_gradient(e.net, d, l2, g, n_threads, dropout_step ? &key : nullptr, poll_signals);
  });
  return py::make_tuple(result.loss, gradient);
}

template <class T>
py::array_t<T> scores(const Engine<T>& e, const TrainingData& data, int n_threads) {
  const Data<T> d = data_of(e.net, data);
  py::array_t<T> out({d.n, e.net.out()});
  T* to = out.mutable_data();
  without_gil([&] {
    const Reading reading(e.net.lock(), poll_signals);
    e.net.scores(d, to, n_threads, poll_signals);
  });
  return out;
}

template <class T>
Tuple<double, index> evaluate(const Engine<T>& e, const TrainingData& data, int n_threads) {
  const Data<T> d = targeted_data_of(e.net, data);
  Evaluation result;
  without_gil([&] {
    const Reading reading(e.net.lock(), poll_signals);
    result = e.net.evaluate(d, n_threads, poll_signals);
  });
  return py::make_tuple(result.loss, result.correct);
}

/// Arrays of each layer's outputs for n rows, and where they lie.
template <class T>
struct LayerArrays {
  LayerArrays(const Network<T>& net, index n) {
    for (const LayerSpec& layer : net.graph().layers()) {
      arrays.append(py::array_t<T>({n, layer.out}));
      data.push_back(py::array_t<T>(arrays[arrays.size() - 1]).mutable_data());
    }
  }
  py::list arrays;
  std::vector<T*> data;
};

template <class T>
Tuple<py::list, py::object> trace(Engine<T>& e, const TrainingData& given, int n_threads) {
  const Data<T> d = data_of(e.net, given);
  const LayerArrays<T> outputs(e.net, d.n), gradients(e.net, d.n);
  const bool back = d.labels || d.soft;
  without_gil([&] {
    const Reading reading(e.net.lock(), poll_signals);
    fanin::trace(e.net, d, outputs.data.data(), back ? gradients.data.data() : nullptr, n_threads,
                 poll_signals);
  });
  return py::make_tuple(outputs.arrays, back ? py::object(gradients.arrays) : py::none());
}

template <class T>
Compute checked_compute(const std::string& name, const std::vector<LayerSpec>& layers,
                        const Dropping& dropping) {
  const auto compute = choice<Compute>("compute", name);
  if (compute == Compute::bf16) {
    if (sizeof(T) != sizeof(float))
      throw py::value_error("compute: expected None with float64, got 'bf16'");
    const bool masked = std::any_of(layers.begin(), layers.end(),
                                    [](const LayerSpec& l) { return l.keep_weights < 1; });
    if (masked && (dropping.row_masks || dropping.moments)) {  // products of other kinds
      throw py::value_error("compute: expected None with row_masks or moments, got 'bf16'");
    }
    bf16_kernels<T>();  // asks for tiles here and not within a step
  }
  return compute;
}

template <class T>
void bind_engine(py::module_& m, const char* name) {
  using E = Engine<T>;
  auto engine = make_class<E>(m, name);
  bind_state(engine);
  engine
      .def(py::init([](std::vector<LayerSpec> layers, const py::object& loss, bool vanilla,
                       bool row_masks, bool moments, const std::string& compute) {
             const LossSpec spec = spec_of(loss);
             if (!layers.empty()) check_outputs(spec, layers.back().out);
             const Dropping dropping{vanilla, row_masks, moments};
             const Compute checked = checked_compute<T>(compute, layers, dropping);
             return std::make_unique<E>(std::move(layers), spec, dropping, checked);
           }),
           py::arg("layers"), py::arg("loss"), py::kw_only(), py::arg("vanilla") = false,
           py::arg("row_masks") = false, py::arg("moments") = false, py::arg("compute") = "full")
      .def_property_readonly(
          "parameters",
          [](py::object self) {
            auto& e = self.cast<E&>();
            return py::array_t<T>(e.net.size(), e.net.params(), self);
          },
          "The arena, as one flat array that shares its memory.")
      .def_property_readonly("layers", [](const E& e) { return e.net.graph().layers(); })
      .def_property_readonly(
          "layout", [](const E& e) { return e.net.graph().parameters(); },
          "What lies where in the arena, in order.")
      .def("train", &train<T>, py::arg("job"), py::arg("learner"), py::arg("first"),
           py::arg("last"),
           "Steps first .. last - 1 of an epoch until the job's budget is spent; what came of them "
           "is in the learner.")
      .def(
          "gradient", &gradient<T>, py::arg("data"), py::kw_only(), py::arg("l2"),
          py::arg("seed") = 0, py::arg("dropout_step") = py::none(), py::arg("n_threads"),
          "(loss, gradient in the arena's layout) over all rows; with dropout_step under the masks "
          "of that step.")
      .def("trace", &trace<T>, py::arg("data"), py::arg("n_threads"),
           "(outputs, gradients): each layer's outputs, (N, out), and each row's loss over them, "
           "or None without targets.")
      .def("scores", &scores<T>, py::arg("data"), py::arg("n_threads"),
           "Outputs of the last layer, (N, out).")
      .def("evaluate", &evaluate<T>, py::arg("data"), py::arg("n_threads"),
           "(mean loss, rows predicted right).");
}

void bind_layer(py::module_& m) {
  make_class<LayerSpec>(m, "Layer", "A layer: dropout(f(norm(x · W + b))), and with a skip x + it.")
      .def(py::init([](index inputs, index outputs, const std::string& activation, double keep,
                       double keep_weights, const std::string& norm, bool skip, double rate) {
             LayerSpec l{inputs, outputs, Activation::identity, keep, keep_weights};
             l.prelu = activation == "prelu";
             if (!l.prelu) l.activation = choice<Activation>("activation", activation);
             l.norm = choice<Norm>("norm", norm);
             l.skip = skip;
             l.rate = rate;
             if (skip && inputs != outputs) {
               throw py::value_error("skip: expected as many outputs as inputs");
             }
             return l;
           }),
           py::arg("inputs"), py::arg("outputs"), py::arg("activation"), py::kw_only(),
           py::arg("keep") = 1.0, py::arg("keep_weights") = 1.0, py::arg("norm") = "none",
           py::arg("skip") = false, py::arg("rate") = 1.0)
      .def_readonly("inputs", &LayerSpec::in)
      .def_readonly("outputs", &LayerSpec::out)
      .def_readonly("skip", &LayerSpec::skip)
      .def_readonly("keep", &LayerSpec::keep)
      .def_readonly("keep_weights", &LayerSpec::keep_weights);
  m.attr("norms") = names_of<Norm>();
  m.attr("computes") = names_of<Compute>();
}

void bind_parameter(py::module_& m) {
  make_class<Parameter>(m, "Parameter", "An array of a network's arena.")
      .def_property_readonly(
          "role", [](const Parameter& p) { return names<Role>[static_cast<int>(p.role)]; },
          "weights, bias, gamma, beta, slopes, running_mean or running_variance.")
      .def_readonly("layer", &Parameter::layer)
      .def_readonly("rows", &Parameter::rows)
      .def_readonly("cols", &Parameter::cols)
      .def_readonly("offset", &Parameter::offset)
      .def_readonly("decays", &Parameter::decays, "Whether L2 is for it.")
      .def_property_readonly("trained", [](const Parameter& p) { return p.rate != 0; });
}

void bind_data(py::module_& m) {
  using D = TrainingData;
  make_class<D>(m, "TrainingData",
                "Rows as a network takes them: they enter as (X - mean) * scale; labels or soft "
                "are their targets.")
      .def(py::init([](py::object x, py::object mean, py::object scale, py::object labels,
                       py::object soft, py::object weights, py::object positive) {
             return D{std::move(x),    std::move(mean),    std::move(scale),   std::move(labels),
                      std::move(soft), std::move(weights), std::move(positive)};
           }),
           py::arg("X"), py::arg("mean") = py::none(), py::arg("scale") = py::none(),
           py::arg("labels") = py::none(), py::arg("soft") = py::none(),
           py::arg("weights") = py::none(), py::arg("positive") = py::none())
      .def("__len__", [](const D& d) { return py::len(d.x); })
      .def_readonly("X", &D::x, "(N, D), an array or sparse rows")
      .def_readonly("mean", &D::mean, "(1,) or (D,) float64, or None")
      .def_readonly("scale", &D::scale, "(1,) or (D,) float64, or None")
      .def_readonly("labels", &D::labels, "(N,) int32, or None")
      .def_readonly("soft", &D::soft, "(N, C), or None")
      .def_readonly("weights", &D::weights, "(N,), or None")
      .def_readonly("positive", &D::positive, "(C,): weights of logistic targets 1, or None");
}

void bind_job(py::module_& m) {
  make_class<TrainingJob>(m, "TrainingJob", "What the networks of a call of `train` share.")
      .def(py::init([](const TrainingData& data, py::array order, index batch, std::uint64_t seed,
                       double budget, double clip_norm, int n_threads, py::object images) {
             if (batch < 1) throw py::value_error("batch: expected at least 1 row");
             TrainingJob job{data,      std::move(order), batch,     seed,
                             clip_norm, budget,           n_threads, std::move(images)};
             job.augmenter();  // a TypeError here and not in the loop
             return job;
           }),
           py::kw_only(), py::arg("data"), py::arg("order"), py::arg("batch"), py::arg("seed"),
           py::arg("budget"), py::arg("clip_norm") = 0.0, py::arg("n_threads") = 0,
           py::arg("images") = py::none())
      .def_readwrite("data", &TrainingJob::data)
      .def_readwrite("order", &TrainingJob::order,
                     "Rows of the data: step s takes order[s * batch : (s + 1) * batch].")
      .def_readonly("batch", &TrainingJob::batch)
      .def_readwrite("seed", &TrainingJob::seed)
      .def_readwrite("budget", &TrainingJob::budget,
                     "Seconds after which a call begins no further step.")
      .def_readwrite("clip_norm", &TrainingJob::clip_norm, "0: none.")
      .def_readwrite("n_threads", &TrainingJob::n_threads, "0: as many as are useful.")
      .def_readwrite("epoch", &TrainingJob::epoch, "Augmentation draws by it.")
      .def_readwrite("first_stream", &TrainingJob::first_stream,
                     "Masks of step s are drawn under stream first_stream + s.");

  make_class<Learner>(m, "Learner",
                      "What is each network's own of a call of `train`; lr, losses and correct "
                      "have an item for each step of the epoch.")
      .def(py::init([](py::object rule, std::vector<py::array> states, double l2, py::array lr,
                       py::array losses, py::array correct) {
             Learner l{std::move(rule), std::move(states), l2,
                       std::move(lr),   std::move(losses), std::move(correct)};
             l.own_rule();
             return l;
           }),
           py::kw_only(), py::arg("rule"), py::arg("states"), py::arg("l2"), py::arg("lr"),
           py::arg("losses"), py::arg("correct"))
      .def_readwrite("l2", &Learner::l2)
      .def_readwrite("lr", &Learner::lr)
      .def_readonly("losses", &Learner::losses, "Written: the loss with L2 of each step.")
      .def_readonly("correct", &Learner::correct, "Written: rows predicted right.")
      .def_readonly("steps", &Learner::steps, "Whole steps that the last call did.")
      .def_readonly("diverged", &Learner::diverged,
                    "The next step's loss was not finite; it was not taken.");
}

}  // namespace

void bind_network(py::module_& m) {
  bind_layer(m);
  bind_parameter(m);
  bind_data(m);
  bind_job(m);
  bind_training_state(m);
  bind_engine<float>(m, "Engine32");
  bind_engine<double>(m, "Engine64");
}

}  // namespace fanin::bind
