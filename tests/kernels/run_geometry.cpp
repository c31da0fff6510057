#include "run_geometry.hpp"

#include <cmath>
#include <vector>

#include "run_kernels.hpp"

namespace fanin::test {

namespace {

constexpr float fills[][most_channels] = {{0, 0, 0, 0}, {20.5f, 300, -3, 77.5f}, {9, 8, 7, 6}};
constexpr ChannelAffine affine{{0.5f, 0.25f, 2, 1}, {-1, 0.125f, 3, 0}};

struct Shape {
  index height, width, channels;

  template <class S>
  std::string text() const {
    return std::to_string(height) + "x" + std::to_string(width) + "x" + std::to_string(channels) +
           (sizeof(S) == 1 ? " u8" : " f32");
  }
  index size() const { return height * width * channels; }
};

template <class S>
Image image(const Aligned<S>& data, Shape s) {
  return {data.data(), sizeof(S) == 1 ? DType::u8 : DType::f32, s.height, s.width, s.channels};
}

/// Weights of an axis of n pixels over a source of `length`: a triangle, not normalised; `filled`
/// pixels at each end are a fill.
struct Axis {
  std::vector<std::int32_t> first;
  std::vector<float> weights;
  AxisWeights axis;

  Axis(index length, index n, index taps, bool flipped, index filled, std::int32_t fill) {
    taps = taps < length ? taps : length;
    for (index i = 0; i < n; ++i) {
      const index place = (flipped ? n - 1 - i : i) * (length - taps) / n;
      const bool inside = i >= filled && i < n - filled;
      first.push_back(inside ? static_cast<std::int32_t>(place) : -1 - fill);
      for (index t = 0; t < taps; ++t) {
        const index height = t < taps / 2 ? t + 1 : taps - t;
        const bool last = t > 0 && t == taps - 1 && i % 3 == 0;
        weights.push_back(last ? 0.0f : static_cast<float>(height) / static_cast<float>(4 * taps));
      }
    }
    axis = {first.data(), weights.data(), n, taps};
  }
};

struct Resize {
  index height, width, taps;
  bool flipped;
  index filled;
};

/// In one call, and in calls of five rows that hand the workspace on.
template <class S>
void resize(const ImageKernels& k, Shape s, Resize how) {
  const auto data = numbers<S>(s.size(), 0, 250, 1);
  const std::int32_t row_fill = how.flipped ? 2 : 1;
  const Axis rows(s.height, how.height, how.taps, false, how.filled, row_fill);
  const Axis columns(s.width, how.width, how.taps, how.flipped, 2 * how.filled, 3 - row_fill);
  const index n = how.height * how.width;
  Aligned<float> out(s.channels * n), parts(s.channels * n);
  ResizeImage args{image(data, s), rows.axis, columns.axis, fills[0], affine, {}, nullptr};
  Aligned<float> workspace(resize_workspace_size(args));
  args.workspace = workspace.data();
  const auto go = [&] {
    args.out = {out.data(), n, how.width};
    k.resize_image(args, {0, how.height});
    args.out.data = parts.data();
    for (index i = 0; i < how.height; i += 5) {
      k.resize_image(args, {i, i + 5 < how.height ? i + 5 : how.height});
    }
  };
  run<float>("resize_image " + s.text<S>() + " to " + std::to_string(how.height) + "x" +
                 std::to_string(how.width) + " by " + std::to_string(how.taps),
             go, written(out), written(parts));
}

/// A turn and a shrink about a window one pixel inside the source where that is large enough.
WarpStage turn(Shape s, Border border, bool lens) {
  const index inset = s.height > 2 && s.width > 2 ? 1 : 0;
  WarpStage stage{{0.96875f, -0.5f, 1.3f, 0.4375f, 1.0625f, -2.7f},
                  lens,
                  3,
                  4,
                  11,
                  0.25f,
                  -0.125f,
                  border,
                  1,
                  inset,
                  inset,
                  s.width - 2 * inset,
                  s.height - 2 * inset};
  return stage;
}

template <class S>
void warp(const ImageKernels& k, Shape s, const std::vector<WarpStage>& stages, bool nearest,
          const std::string& how) {
  const auto data = numbers<S>(s.size(), 0, 250, 1);
  const index height = s.height + 2, width = s.width + 5;
  Aligned<float> out(s.channels * height * width);
  const Image source = image(data, s);
  Aligned<std::uint8_t> workspace(warp_workspace_size(source));
  const WarpImage args{
      source, stages.data(), static_cast<int>(stages.size()),     fills[0],        nearest,
      affine, width,         {out.data(), height * width, width}, workspace.data()};
  const auto prepare = [&] { k.prepare_warp(args); };
  const std::string name = s.text<S>() + " " + how;
  if (how == "constant" || how == "edge") {
    run<float>("prepare_warp " + name, prepare, written(workspace));
  } else {
    prepare();
  }
  run<float>("warp_image " + name, [&] { k.warp_image(args, {0, height}); }, written(out));
}

template <class S>
void warps(const ImageKernels& k, Shape s) {
  for (int b = 0; b < 4; ++b) {
    const Border border = static_cast<Border>(b);
    for (const bool lens : {false, true}) {
      const std::string how = names<Border>[b] + std::string(lens ? " lens" : "");
      warp<S>(k, s, {turn(s, border, lens)}, false, how);
    }
    WarpStage inner = turn(s, border, false);
    inner.fill = 2;
    inner.matrix[2] = -1.5f;
    warp<S>(k, s, {inner, turn(s, Border::edge, true)}, false,
            names<Border>[b] + std::string(", edge"));
  }
  warp<S>(k, s, {turn(s, Border::constant, false)}, true, "nearest");
  WarpStage far = turn(s, Border::reflect, true);
  far.matrix[0] = 1e30f;
  far.matrix[4] = std::nanf("");
  warp<S>(k, s, {far}, false, "far away");
}

}  // namespace

void geometry(const ImageKernels& k, bool few) {
  if (few) {
    resize<std::uint8_t>(k, {200, 300, 3}, {112, 224, 4, false, 0});
    const Shape s{112, 224, 3};
    warp<std::uint8_t>(k, s, {turn(s, Border::constant, false)}, false, "constant");
    return;
  }
  // Ragged in every direction; the sources of 16 pixels within 16, 32 and 64 others, and beyond.
  for (const Shape s : {Shape{1, 1, 1}, Shape{3, 15, 4}, Shape{16, 16, 3}, Shape{7, 17, 3},
                        Shape{5, 65, 4}, Shape{40, 63, 1}, Shape{19, 333, 3}}) {
    for (const Resize how :
         {Resize{1, 1, 1, false, 0}, Resize{9, 17, 2, false, 0}, Resize{16, 48, 3, true, 0},
          Resize{33, 65, 5, true, 2}, Resize{7, 15, 9, false, 1}}) {
      resize<std::uint8_t>(k, s, how);
      resize<float>(k, s, how);
    }
    warps<std::uint8_t>(k, s);
    warps<float>(k, s);
  }
}

}  // namespace fanin::test
