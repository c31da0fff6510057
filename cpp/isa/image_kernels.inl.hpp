// The kernels of images over the Vec that the including file picked. Apart from the others, so that
// both can be compiled at once.
#include "isa/image_table.hpp"
#include "isa/join.hpp"
#include "simd/math.hpp"

#include "kernels/image_colour.inl.hpp"
#include "kernels/image_geometry.inl.hpp"
#include "kernels/image_layout.inl.hpp"
#include "kernels/image_mix.inl.hpp"

namespace fanin {

const ImageKernels FANIN_JOIN(images_, FANIN_ISA) = {
    FANIN_ISA::copy_pixels,  FANIN_ISA::unpack_pixels, FANIN_ISA::pack_planes,
    FANIN_ISA::resize_image, FANIN_ISA::prepare_warp,  FANIN_ISA::warp_image,
    FANIN_ISA::colour_rows,  FANIN_ISA::noise_rows,    FANIN_ISA::blend};

}  // namespace fanin
