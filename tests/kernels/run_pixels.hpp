#pragma once
#include "isa/image_table.hpp"

namespace fanin::test {

/// The cases of the kernels that copy, colour and blend pixels; `few`: one a kernel, of a usual
/// shape.
void pixels(const ImageKernels& k, bool few);

}  // namespace fanin::test
