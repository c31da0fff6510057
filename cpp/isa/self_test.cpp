#include "isa/self_test.hpp"

#include <cstring>

#include "core/aligned.hpp"
#include "core/fpenv.hpp"

namespace fanin {

namespace {

constexpr index rows = 37, inner = 75, cols = 43;

void fill(Aligned<float>& numbers, std::uint32_t state) {
  for (index i = 0; i < numbers.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    numbers.data()[i] = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
  }
}

Aligned<float> product(const Bf16Kernels<float>& k) {
  Aligned<float> x(rows * inner), w(inner * cols), bias(cols), y(rows * cols);
  fill(x, 1);
  fill(w, 2);
  fill(bias, 3);
  Aligned<float> left(bf16_left_size(rows, inner)), right(bf16_right_size(inner, cols));
  Bf16Pack<float> pack_x{x.data(), inner, inner}, pack_w{w.data(), cols, cols};
  pack_x.left = left.data();
  pack_x.left_stride = bf16_stride(inner);
  pack_w.right = right.data();
  pack_w.right_panel = bf16_panel(inner);
  k.pack(pack_x, {0, rows});
  k.pack(pack_w, {0, inner});
  const Bf16Product<float> p{
      left.data(), pack_x.left_stride, right.data(), pack_w.right_panel, y.data(), cols, inner,
      cols,        bias.data()};
  k.forward(p, {}, {0, rows}, {0, cols});
  return y;
}

}  // namespace

bool same_products(const Bf16Kernels<float>& a, const Bf16Kernels<float>& b) {
  const FlushDenormals flush;
  const Aligned<float> x = product(a), y = product(b);
  return std::memcmp(x.data(), y.data(), sizeof(float) * static_cast<std::size_t>(x.size())) == 0;
}

}  // namespace fanin
