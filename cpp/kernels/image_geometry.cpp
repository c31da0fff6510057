#include "kernels/image_geometry.hpp"

#include "kernels/resize_workspace.hpp"
#include "kernels/warp_workspace.hpp"

namespace fanin {

index resize_workspace_size(const ResizeImage& a) { return resize_layout(a).size; }

index warp_workspace_size(const Image& source) {
  const index planes = source.dtype == DType::u8 ? 1 : source.channels;
  return planes * warp_rows(source.height) * warp_pitch(source.width) * 4;
}

}  // namespace fanin
