#pragma once
// A network as Python holds it, and the data that come with its calls.
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

#include "bind/arrays.hpp"
#include "bind/batch_augmentation.hpp"
#include "engine/network/training.hpp"

namespace fanin::bind {

template <class T>
Data<T> data_of(const Network<T>& net, const py::array& x, const py::object& mean,
                const py::object& scale, const py::object& labels, const py::object& soft,
                const py::object& weights, const BatchAugmenter* images = nullptr) {
  Data<T> d{};
  const index in = images ? images->height * images->width * images->channels : net.in();
  if (holds<std::uint8_t>(x)) {
    d.dtype = DType::u8;
    d.x = read<std::uint8_t>(x, "X", {any, in});
  } else if (holds<double>(x)) {
    d.dtype = DType::f64;
    d.x = read<double>(x, "X", {any, in});
  } else {
    d.dtype = DType::f32;
    d.x = read<float>(x, "X", {any, in});
  }
  d.n = x.shape(0);
  if (mean.is_none() != scale.is_none()) {
    throw py::value_error("mean, scale: expected both or neither");
  }
  if (!mean.is_none()) {
    d.per_column = py::reinterpret_borrow<py::array>(mean).size() != 1;
    const index n = d.per_column ? net.in() : 1;
    d.mean = read_optional<double>(mean, "mean", {n});
    d.scale = read_optional<double>(scale, "scale", {n});
  }
  d.labels = read_optional<std::int32_t>(labels, "y", {d.n});
  d.soft = read_optional<T>(soft, "y", {d.n, net.out()});
  d.weights = read_optional<T>(weights, "sample_weight", {d.n});
  return d;
}

/// A network with its trainer, kept while the batch size stays.
template <class T>
struct Engine {
  using Specs = std::vector<std::tuple<index, index, int, double, double>>;

  Engine(const Specs& specs, int loss, bool vanilla, bool row_masks, bool moments)
      : net(layers_of(specs), static_cast<Loss>(loss), {vanilla, row_masks, moments}) {}

  static std::vector<LayerSpec> layers_of(const Specs& specs) {
    std::vector<LayerSpec> layers;
    for (const auto& [in, out, activation, keep, keep_weights] : specs) {
      layers.push_back({in, out, static_cast<Activation>(activation), keep, keep_weights});
    }
    return layers;
  }

  Trainer<T>& trainer_for(index batch) {
    batch = std::min(batch, workspace_rows);
    if (!trainer || trainer_batch != batch) trainer = std::make_unique<Trainer<T>>(net, batch);
    trainer_batch = batch;
    return *trainer;
  }

  Network<T> net;
  std::unique_ptr<Trainer<T>> trainer;
  index trainer_batch = 0;
  std::atomic<bool> training{false};
};

/// The one use of a network's trainer: it works without the GIL, so a second thread could come.
template <class T>
class Training {
 public:
  explicit Training(Engine<T>& e) : engine_(e) {
    if (engine_.training.exchange(true)) {
      throw std::runtime_error("network: expected one fit at a time, got a second one");
    }
  }
  ~Training() { engine_.training = false; }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

 private:
  Engine<T>& engine_;
};

}  // namespace fanin::bind
