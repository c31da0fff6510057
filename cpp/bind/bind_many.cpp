#include "bind/classes.hpp"
#include "bind/engine.hpp"
#include "bind/gil.hpp"
#include "bind/training_job.hpp"

namespace fanin::bind {

namespace {

/// A batch of networks in training, which keeps their Python objects alive.
template <class T>
struct ManyEngines {
  ManyEngines(const std::vector<Engine<T>*>& given, index batch)
      : engines(given), trainer(networks_of(given), batch) {}

  static std::vector<Network<T>*> networks_of(const std::vector<Engine<T>*>& engines) {
    std::vector<Network<T>*> networks;
    for (Engine<T>* e : engines) networks.push_back(&checked(e->net, engines.front()->net));
    if (networks.empty()) throw py::value_error("engines: expected at least one, got none");
    return networks;
  }

  static Network<T>& checked(Network<T>& net, const Network<T>& first) {
    const auto masks = [](const Op& op) { return op.masks_weights(); };
    const auto& ops = net.graph().ops();
    const bool alike = net.in() == first.in() && net.out() == first.out() &&
                       net.width(0) == first.width(0) && net.bf16() == first.bf16();
    if (!alike || std::any_of(ops.begin(), ops.end(), masks)) {
      throw py::value_error(
          "engines: expected networks with one shape of the first layer, as many outputs, one way "
          "of computing and no DropConnect");
    }
    return net;
  }

  const Network<T>& first() const { return engines.front()->net; }

  std::vector<Engine<T>*> engines;
  Trainer<T> trainer;
};

template <class T>
void train(ManyEngines<T>& m, const TrainingJob& given, const std::vector<Learner*>& learners,
           index first, index last) {
  const TrainingJob held = given;  // the arrays, also where another thread sets others meanwhile
  const fanin::TrainingJob<T> job = job_of(m.first(), held, first, last);
  if (held.batch != m.trainer.batch()) {
    throw py::value_error("batch: expected " + std::to_string(m.trainer.batch()) + ", got " +
                          std::to_string(held.batch));
  }
  if (held.clip_norm > 0 || !held.images.is_none()) {
    throw py::value_error("job: expected neither clip_norm nor images for several networks");
  }
  if (learners.size() != m.engines.size()) {
    throw py::value_error("learners: expected one for each network");
  }
  std::vector<Learner> own;
  std::vector<fanin::Learner<T>> native;
  for (std::size_t i = 0; i < learners.size(); ++i) {
    own.push_back(*learners[i]);
    const index size = m.engines[i]->net.size();
    native.push_back(learner_of<T>(own.back(), size, held.steps(), first));
  }
  std::vector<std::unique_ptr<Training<T>>> permits;
  for (Engine<T>* e : m.engines) permits.push_back(std::make_unique<Training<T>>(*e));
  without_gil([&] { m.trainer.run(job, native, poll_signals); });
  for (std::size_t i = 0; i < learners.size(); ++i) {
    learners[i]->steps = native[i].steps;
    learners[i]->diverged = native[i].diverged;
  }
}

template <class T>
std::vector<std::pair<double, index>> evaluate(ManyEngines<T>& m, const TrainingData& data) {
  const Data<T> d = targeted_data_of(m.first(), data);
  std::vector<Evaluation> results;
  without_gil([&] {
    std::vector<std::unique_ptr<Reading>> readings;
    for (Engine<T>* e : m.engines)
      readings.push_back(std::make_unique<Reading>(e->net.lock(), poll_signals));
    results = m.trainer.evaluate(d, poll_signals);
  });
  std::vector<std::pair<double, index>> pairs;
  for (const Evaluation& r : results) pairs.emplace_back(r.loss, r.correct);
  return pairs;
}

template <class T>
void bind_many_of(py::module_& m, const char* name) {
  using M = ManyEngines<T>;
  make_class<M>(m, name)
      .def(py::init<const std::vector<Engine<T>*>&, index>(), py::arg("engines"), py::arg("batch"),
           py::keep_alive<1, 2>())
      .def("train", &train<T>, py::arg("job"), py::arg("learners"), py::arg("first"),
           py::arg("last"),
           "As `train` of a network, with a learner for each; who has diverged takes no part.")
      .def("evaluate", &evaluate<T>, py::arg("data"),
           "(mean loss, rows predicted right) of each network.");
}

}  // namespace

void bind_many(py::module_& m) {
  bind_many_of<float>(m, "Many32");
  bind_many_of<double>(m, "Many64");
}

}  // namespace fanin::bind
