#pragma once
#include "kernels/resize.inl.hpp"
#include "kernels/warp.inl.hpp"
