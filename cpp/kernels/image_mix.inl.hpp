#pragma once
#include "kernels/image_mix.hpp"
#include "kernels/pixels.inl.hpp"

namespace fanin::FANIN_ISA {

template <class S>
void blend_as(const Blend& args, Range elements) noexcept {
  const S *a = static_cast<const S*>(args.a), *b = static_cast<const S*>(args.b);
  S* out = static_cast<S*>(args.out);
  const Vec<float> lambda = Vec<float>::set(args.lambda);
  each_vec<float>(elements.end - elements.begin, [&](index t, int lanes) {
    const index e = elements.begin + t;
    const Vec<float> x = convert_some<float>(a + e, lanes), y = convert_some<float>(b + e, lanes);
    const Vec<float> mixed[] = {fma(lambda, x - y, y)};
    interleave_some<1>(mixed, out + e, lanes);
  });
}

inline void blend(const Blend& a, Range elements) noexcept {
  a.dtype == DType::u8 ? blend_as<std::uint8_t>(a, elements) : blend_as<float>(a, elements);
}

}  // namespace fanin::FANIN_ISA
