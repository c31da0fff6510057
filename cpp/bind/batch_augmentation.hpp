#pragma once
#include <memory>
#include <optional>

#include "engine/augment/augmented_batch.hpp"

namespace fanin::bind {

/// The augmentation of minibatches in training.
struct BatchAugmenter {
  index height, width, channels;
  std::shared_ptr<Augmentation> augmentation;  // or null
  std::optional<Mixing> mixing;

  BatchAugmentation at(std::uint64_t epoch) const {
    return {height, width, channels, augmentation.get(), mixing ? &*mixing : nullptr, epoch};
  }
};

}  // namespace fanin::bind
