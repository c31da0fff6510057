#include "kernels/image_geometry.hpp"

#include "kernels/resize_room.hpp"
#include "kernels/warp_room.hpp"

namespace fanin {

index resize_room(const ResizeImage& a) { return resize_layout(a).size; }

index warp_room(const Image& source) {
  const index planes = source.dtype == DType::u8 ? 1 : source.channels;
  return planes * warp_rows(source.height) * warp_pitch(source.width) * 4;
}

}  // namespace fanin
