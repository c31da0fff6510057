#include <algorithm>
#include <cmath>

#include "engine/augment/augmentation_workspace.hpp"
#include "isa/dispatch.hpp"

namespace fanin {

namespace {

constexpr index group_values = 64;

template <class T>
T stored(float x) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<T>(std::clamp(std::nearbyintf(x), 0.0f, 255.0f));
  } else {
    return x;
  }
}

template <class T>
void erase(const ErasedBox& box, const Elements& image, index channels, Range rows,
           const ChannelAffine& affine, float* scratch) {
  const auto groups = static_cast<std::uint64_t>((box.at.width + group_values - 1) / group_values);
  RandomFill<float> normals{Distribution::normal, box.key, 0, 0, 1, 0, scratch};
  for (index c = 0; c < channels; ++c) {
    const float scale = affine.scale[c], shift = affine.shift[c];
    for (index i = rows.begin; i < rows.end; ++i) {
      T* out = static_cast<T*>(image.data) + c * image.channel_stride + i * image.row_stride +
               box.at.left * image.column_stride;
      if (!box.value) {
        const auto row = static_cast<std::uint64_t>(c * box.at.height + i - box.at.top);
        normals.first_group = box.first_group + row * groups;
        kernels<float>().random_fill(normals, {0, box.at.width});
        for (index j = 0; j < box.at.width; ++j) {
          out[j * image.column_stride] = stored<T>(std::fma(scratch[j], scale, shift));
        }
      } else {
        const T value = stored<T>(
            std::fma(static_cast<float>((*box.value)[static_cast<std::size_t>(c)]), scale, shift));
        for (index j = 0; j < box.at.width; ++j) out[j * image.column_stride] = value;
      }
    }
  }
}

}  // namespace

void erase_box(const ErasedBox& box, const Elements& image, index channels, Range rows,
               const ChannelAffine& affine, Aligned<float>& scratch) {
  const Range inside{std::max(rows.begin, box.at.top),
                     std::min(rows.end, box.at.top + box.at.height)};
  if (!box.value) scratch.reserve(box.at.width);
  if (image.dtype == DType::u8) {
    erase<std::uint8_t>(box, image, channels, inside, affine, scratch.data());
  } else {
    erase<float>(box, image, channels, inside, affine, scratch.data());
  }
}

}  // namespace fanin
