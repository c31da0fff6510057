#pragma once
#include "engine/network/network.hpp"

namespace fanin {

/// The weights of a network in bf16 as its products take them: right operands, that of W for the
/// way forward and that of its transpose for the way back. Empty for other networks.
template <class T>
class Bf16Weights {
 public:
  Bf16Weights(const Network<T>& network, bool transposed);

  const void* plain(std::size_t op) const { return memory_.data() + plain_[op]; }
  const void* transposed(std::size_t op) const { return memory_.data() + transposed_[op]; }

  /// Rows of an op's weights, from an arena; they begin at a multiple of 32.
  void pack(std::size_t op, const T* arena, Range rows);
  void pack_all(Team& team, const T* arena);

 private:
  bool has_transpose(const Op& op) const { return with_transposes_ && op.in > 0; }

  const Network<T>& network_;
  const bool with_transposes_;
  std::vector<index> plain_, transposed_;
  Aligned<T> memory_;
};

}  // namespace fanin
