#include <algorithm>
#include <cmath>

#include "engine/augment/augmentation_room.hpp"
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
           const ChannelAffine& affine, float* room) {
  const auto groups = static_cast<std::uint64_t>((box.width + group_values - 1) / group_values);
  RandomFill<float> normals{Distribution::normal, box.key, 0, 0, 1, 0, room};
  for (index c = 0; c < channels; ++c) {
    const float scale = affine.scale[c], shift = affine.shift[c];
    for (index i = rows.begin; i < rows.end; ++i) {
      T* out = static_cast<T*>(image.data) + c * image.channel_stride + i * image.row_stride +
               box.left * image.column_stride;
      if (!box.value) {
        const auto row = static_cast<std::uint64_t>(c * box.height + i - box.top);
        normals.first_group = box.first_group + row * groups;
        kernels<float>().random_fill(normals, {0, box.width});
        for (index j = 0; j < box.width; ++j) {
          out[j * image.column_stride] = stored<T>(std::fma(room[j], scale, shift));
        }
      } else {
        const T value = stored<T>(std::fma(static_cast<float>(box.value[c]), scale, shift));
        for (index j = 0; j < box.width; ++j) out[j * image.column_stride] = value;
      }
    }
  }
}

}  // namespace

void erase_box(const ErasedBox& box, const Elements& image, index channels, Range rows,
               const ChannelAffine& affine, Aligned<float>& room) {
  const Range inside{std::max(rows.begin, box.top), std::min(rows.end, box.top + box.height)};
  if (!box.value) room.reserve(box.width);
  if (image.dtype == DType::u8) {
    erase<std::uint8_t>(box, image, channels, inside, affine, room.data());
  } else {
    erase<float>(box, image, channels, inside, affine, room.data());
  }
}

}  // namespace fanin
