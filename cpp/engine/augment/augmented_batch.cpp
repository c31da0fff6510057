#include "engine/augment/augmented_batch.hpp"

#include <algorithm>

namespace fanin {

namespace {

constexpr index pieces_per_member = 8;

}  // namespace

Extent BatchAugmentation::output() const {
  const Extent input{height, width};
  return augmentation ? augmentation->output(input) : input;
}

double BatchAugmentation::flops() const {
  const double mixed = mixing ? 4 * static_cast<double>(row_size()) : 0;
  return mixed + (augmentation ? augmentation->flops({height, width}) : 0);
}

template <class T>
void AugmentedBatch<T>::begin(const BatchAugmentation& how, const Data<T>& data, index rows,
                              index outputs, int members) {
  how_ = how;
  from_ = &data;
  outputs_ = outputs;
  size_ = how.output();
  bytes_ = how.output_size() * item_size(data.dtype);
  workspaces_.clear();
  batch_ = data;
  if (how.augmentation) {
    for (int m = 0; m < members; ++m) workspaces_.push_back(how.augmentation->workspace());
    images_.reserve(rows * bytes_);
    take(images_.data());
  }
  if (how.mixing) {
    mixed_.reserve(rows * bytes_);
    soft_.reserve(rows * outputs);
    take(mixed_.data());
    batch_.soft = soft_.data();
  } else if (data.soft) {
    soft_.reserve(rows * outputs);
    batch_.soft = soft_.data();
  }
  if (data.labels) {
    labels_.reserve(rows);
    batch_.labels = labels_.data();
  }
  if (data.weights) {
    weights_.reserve(rows);
    batch_.weights = weights_.data();
  }
}

template <class T>
void AugmentedBatch<T>::take(const std::uint8_t* images) {
  static_cast<Rows&>(batch_) = packed_rows(images, from_->dtype, from_->n, how_.output_size());
}

template <class T>
const std::uint8_t* AugmentedBatch<T>::data_row(index i) const {
  return static_cast<const std::uint8_t*>(from_->row(rows_[i]));
}

template <class T>
const std::uint8_t* AugmentedBatch<T>::image(index i) const {
  return how_.augmentation ? images_.data() + i * bytes_ : data_row(i);
}

template <class T>
void AugmentedBatch<T>::augment(index i, int member) {
  const Image image{data_row(i), from_->dtype, how_.height, how_.width, how_.channels};
  const Augmentation::Output out{images_.data() + i * bytes_, from_->dtype, false};
  how_.augmentation->apply(image, static_cast<std::uint64_t>(rows_[i]), how_.epoch, 0, out,
                           *workspaces_[static_cast<std::size_t>(member)]);
}

/// A row's target for an output: its soft one, or 1 at its label.
template <class T>
double AugmentedBatch<T>::target(index i, index output) const {
  if (from_->soft) return static_cast<double>(from_->soft[rows_[i] * outputs_ + output]);
  return from_->labels[rows_[i]] == output ? 1 : 0;
}

template <class T>
void AugmentedBatch<T>::mix_targets(index i, index partner, double share) {
  T* soft = soft_.data() + i * outputs_;
  for (index j = 0; j < outputs_; ++j) {
    soft[j] = T(share * target(i, j) + (1 - share) * target(partner, j));
  }
  if (from_->labels) labels_.data()[i] = from_->labels[rows_[share >= 0.5 ? i : partner]];
}

template <class T>
void AugmentedBatch<T>::mix(index i, index partner, const Mixed& mixed) {
  mix_images(how_.mixing->kind, mixed,
             {image(i), image(partner), mixed_.data() + i * bytes_, from_->dtype, false,
              size_.height, size_.width, how_.channels});
  mix_targets(i, partner, mixed.lambda);
}

template <class T>
const Data<T>& AugmentedBatch<T>::make(Team& team, const std::int64_t* rows, index n,
                                       Poller& poll) {
  rows_ = rows;
  batch_.n = n;
  const index pieces = std::min(n, pieces_per_member * team.size());
  const auto share_rows = [&](auto&& work) {
    team.share(pieces, [&](index piece, int member) {
      for (index i = n * piece / pieces; i < n * (piece + 1) / pieces; ++i) work(i, member);
      poll(member);
    });
  };
  if (how_.augmentation) share_rows([&](index i, int member) { augment(i, member); });
  if (how_.mixing) {
    const auto draw = [&](index i) {
      const auto sample = static_cast<std::uint64_t>(rows[i]);
      return draw_mix(*how_.mixing, sample, how_.epoch, size_.height, size_.width);
    };
    const Mixed first = draw(0);
    share_rows([&](index i, int) {
      mix(i, i > 0 ? i - 1 : n - 1, how_.mixing->per_sample ? draw(i) : first);
    });
  }
  for (index i = 0; i < n; ++i) {
    if (from_->weights) weights_.data()[i] = from_->weights[rows[i]];
    if (how_.mixing) continue;
    if (from_->labels) labels_.data()[i] = from_->labels[rows[i]];
    if (from_->soft) {
      std::copy_n(from_->soft + rows[i] * outputs_, outputs_, soft_.data() + i * outputs_);
    }
  }
  return batch_;
}

template class AugmentedBatch<float>;
template class AugmentedBatch<double>;

}  // namespace fanin
