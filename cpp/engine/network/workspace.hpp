#pragma once
#include <vector>

#include "core/aligned.hpp"
#include "engine/network/graph.hpp"

namespace fanin {

/// A row stride in elements: whole cache lines, and never a large power of two of bytes, whose rows
/// would all compete for the same few sets of the cache.
template <class T>
index padded(index cols) {
  const index line = 64 / static_cast<index>(sizeof(T));
  const index stride = (cols + line - 1) / line * line;
  return stride * static_cast<index>(sizeof(T)) % 1024 == 0 ? stride + line : stride;
}

/// What a pass over rows keeps.
struct Keeps {
  bool backward;       // what the way back needs
  bool inputs = true;  // else set_inputs() says where they are
  bool bf16 = false;   // operands of dense ops, packed
};

/// The rows of a pass through a network: each slot's, and what ops keep for the way back.
template <class T>
class Workspace {
 public:
  Workspace(const Graph& graph, index rows, Keeps keeps);

  void set_inputs(T* x) { slots.front().y = x; }
  const T* scores() const { return slots.back().y; }

  index rows;
  struct Slot {
    T *y, *d;  // (rows, width); d, the gradient: null for the inputs and without backward
    index stride;
  };
  std::vector<Slot> slots;
  struct Op {
    T* slope;  // (rows, width), null where not needed
    /// Of a norm: layer, of each row; batch, of each column.
    T *mean, *inverse;
    /// Of each column: the biased variance, and sums and means of dy and dy * h, over the batch.
    T *variance, *sum_dy, *sum_dy_h, *mean_dy, *mean_dy_h;
    /// Of a dense op in bf16: left operands of x and dz, of x transposed, and the right one of dz.
    void *x, *dz, *x_t, *dz_right;
  };
  std::vector<Op> ops;
  Aligned<T> soft, weights, row_loss;
  Aligned<std::int32_t> labels, predicted;

 private:
  template <class Take>
  void lay_out(const Graph& graph, Keeps keeps, Take take);

  Aligned<T> memory_;
};

}  // namespace fanin
