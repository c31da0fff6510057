#pragma once
#include "isa/image_table.hpp"

namespace fanin::test {

/// The cases of the kernels that resize and warp images; `few`: one a kernel, of a usual shape.
void geometry(const ImageKernels& k, bool few);

}  // namespace fanin::test
