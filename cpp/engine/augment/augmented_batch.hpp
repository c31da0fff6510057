#pragma once
#include "core/clock.hpp"
#include "engine/augment/augmentation.hpp"
#include "engine/augment/mixing.hpp"
#include "engine/network/network.hpp"

namespace fanin {

/// The augmentation of the rows of a minibatch, u8 or f32.
struct BatchAugmentation {
  index height, width, channels;     // of the image that a row of the data is
  const Augmentation* augmentation;  // null: none
  const Mixing* mixing;              // null: none
  std::uint64_t epoch;

  index row_size() const { return height * width * channels; }
  Extent output() const;  // of an image
  index output_size() const { return output().height * output().width * channels; }
  double flops() const;  // of one row
};

/// The rows of a minibatch, augmented, mixed, and with their targets: data of their own.
template <class T>
class AugmentedBatch {
 public:
  /// Reserves memory for minibatches of `rows` of the data; the arguments must outlive them.
  void begin(const BatchAugmentation& how, const Data<T>& data, index rows, index outputs,
             int members);

  /// The minibatch of those rows of the data, valid until the next one. A row is augmented as the
  /// sample of its number and mixed with the one before it, the first with the last. With labels,
  /// mixed ones come with them; the label with the larger weight is that of the mixture.
  const Data<T>& make(Team& team, const std::int64_t* rows, index n, Poller& poll);

 private:
  void take(const std::uint8_t* images);
  const std::uint8_t* data_row(index i) const;
  const std::uint8_t* image(index i) const;
  void augment(index i, int member);
  void mix(index i, index partner, const Mixed& mixed);
  void mix_targets(index i, index partner, double share);
  double target(index i, index output) const;

  BatchAugmentation how_{};
  const Data<T>* from_ = nullptr;
  const std::int64_t* rows_ = nullptr;  // of this minibatch
  Extent size_{};
  index outputs_ = 0, bytes_ = 0;  // of an image as it leaves
  std::vector<Augmentation::WorkspacePointer> workspaces_;
  Aligned<std::uint8_t> images_, mixed_;
  Aligned<std::int32_t> labels_;
  Aligned<T> soft_, weights_;
  Data<T> batch_{};
};

}  // namespace fanin
