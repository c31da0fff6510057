#pragma once
#include <pybind11/pybind11.h>

#include <optional>

#include "engine/augmented_batch.hpp"

namespace fanin::bind {

/// What training does to minibatches of images, and whose they are.
struct BatchAugmenter {
  index height, width, channels;
  pybind11::object owner;  // of augmentation
  const Augmentation* augmentation;
  std::optional<Mixing> mixing;

  BatchAugmentation at(std::uint64_t epoch) const {
    return {height, width, channels, augmentation, mixing ? &*mixing : nullptr, epoch};
  }
};

}  // namespace fanin::bind
