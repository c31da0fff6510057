#pragma once
// A network as Python holds it.
#include <algorithm>
#include <memory>
#include <stdexcept>

#include "engine/network/training.hpp"

namespace fanin::bind {

/// A network with its trainer, kept while the batch size stays.
template <class T>
struct Engine {
  Engine(std::vector<LayerSpec> layers, const LossSpec& loss, Dropping dropping, Compute compute)
      : net(std::move(layers), loss, dropping, compute) {}

  Trainer<T>& trainer_for(index batch) {
    batch = rows_of_pass(net.graph(), batch);
    if (!trainer || trainer->batch() != batch) {
      trainer = std::make_unique<Trainer<T>>(std::vector{&net}, batch);
    }
    return *trainer;
  }

  Network<T> net;
  std::unique_ptr<Trainer<T>> trainer;
};

/// The one use of a network's trainer: it works without the GIL, so a second thread could come.
template <class T>
class Training {
 public:
  explicit Training(Engine<T>& e) : engine_(e) {
    if (!engine_.net.lock().begin_training()) {
      throw std::runtime_error("network: expected one fit at a time, got a second one");
    }
  }
  ~Training() { engine_.net.lock().end_training(); }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

 private:
  Engine<T>& engine_;
};

}  // namespace fanin::bind
