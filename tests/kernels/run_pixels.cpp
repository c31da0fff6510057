#include "run_pixels.hpp"

#include <vector>

#include "run_kernels.hpp"

namespace fanin::test {

namespace {

constexpr float fills[][most_channels] = {{0, 0, 0, 0}, {20.5f, 300, -3, 77.5f}};

/// Output columns of a source of `width`: `left` of fill 0, a run, then `right` of fill 1 or, where
/// `folded`, of the run's last columns again.
struct Columns {
  std::vector<std::int32_t> from;
  AxisMap map;

  Columns(index width, index left, index right, int step, bool folded) {
    for (index j = 0; j < left; ++j) from.push_back(-1);
    for (index j = 0; j < width; ++j) {
      from.push_back(static_cast<std::int32_t>(step > 0 ? j : width - 1 - j));
    }
    for (index j = 0; j < right; ++j) {
      from.push_back(folded ? from[static_cast<std::size_t>(left + width - 1 - j % width)] : -2);
    }
    map = {from.data(), static_cast<index>(from.size()), {left, left + width}, step};
  }
};

struct Case {
  index width, channels;
  int step;
  bool folded;

  std::string text() const {
    return std::to_string(width) + "x" + std::to_string(channels) + (step > 0 ? "" : " flipped") +
           (folded ? " folded" : "");
  }
};

template <class S>
void layout(const ImageKernels& k, Case c) {
  const index rows = 3, left = c.width / 5, right = c.width / 7 + 1;
  const DType dtype = sizeof(S) == 1 ? DType::u8 : DType::f32;
  const auto source = numbers<S>(rows * c.width * c.channels, 0, 250, 1);
  const Columns columns(c.width, left, right, c.step, c.folded);
  const std::int32_t from_rows[] = {2, -1, 0, 1, -2};
  const AxisMap row_map{from_rows, 5, {2, 4}, 1};
  const index width = columns.map.n, height = row_map.n, n = height * width * c.channels;
  const PixelMap map{
      {source.data(), dtype, rows, c.width, c.channels}, row_map, columns.map, fills[0]};
  const std::string text = c.text() + (sizeof(S) == 1 ? " u8" : " f32");

  Aligned<S> copy(n);
  const CopyPixels copied{map, copy.data(), width * c.channels};
  run<float>("copy_pixels " + text, [&] { k.copy_pixels(copied, {0, height}); }, written(copy));

  const ChannelAffine affine{{0.5f, 0.25f, 2, 1}, {-1, 0.125f, 3, 0}};
  Aligned<float> planes(n);
  const Planes out{planes.data(), height * width, width};
  const UnpackPixels unpacked{map, affine, out};
  run<float>(
      "unpack_pixels " + text, [&] { k.unpack_pixels(unpacked, {0, height}); }, written(planes));

  for (const bool planar : {false, true}) {
    if (planar && c.channels == 1) continue;
    const PackPlanes pack{out, affine, width, height, c.channels, 0, dtype, planar, copy.data()};
    const auto go = [&] { k.pack_planes(pack, {0, height}); };
    run<float>("pack_planes " + text + (planar ? " planar" : ""), go, written(copy));
  }
}

void colour(const ImageKernels& k, index width, index channels) {
  constexpr ColourStep steps[] = {{Colour::brightness, 1.375f, 0},
                                  {Colour::contrast, 0.625f, 100.5f},
                                  {Colour::saturation, 1.25f, 0},
                                  {Colour::hue, -0.125f, 0},
                                  {Colour::grayscale, 0, 0}};
  constexpr const char* names[] = {"brightness", "contrast", "saturation", "hue", "grayscale"};
  const index rows = 3, n = rows * width * channels;
  const std::string shape = std::to_string(width) + "x" + std::to_string(channels);
  Aligned<double> luma(rows);
  const auto go = [&](const std::string& name, const ColourStep* first, int n_steps) {
    auto x = numbers<float>(n, 0, 255, 1);
    const ColourRows args{
        {x.data(), rows * width, width}, width, channels, first, n_steps, 255, luma.data()};
    run<float>(
        "colour_rows " + name + " " + shape, [&] { k.colour_rows(args, {0, rows}); }, written(x),
        written(luma));
  };
  const int kinds = channels == 1 ? 2 : 5;  // the others do nothing to one channel
  for (int s = 0; s < kinds; ++s) go(names[s], steps + s, 1);
  go("all", steps, 4);
  go("none", steps, 0);

  for (const bool clip : {false, true}) {
    auto x = numbers<float>(n, 0, 255, 2);
    const NoiseRows noise{{x.data(), rows * width, width},
                          width,
                          rows,
                          channels,
                          {7, 9},
                          1 << 20,
                          2.5f,
                          20,
                          255,
                          clip};
    const std::string name = "noise_rows " + shape + (clip ? " clipped" : "");
    run<float>(name, [&] { k.noise_rows(noise, {0, rows}); }, written(x));
  }
}

template <class S>
void blend(const ImageKernels& k, index n) {
  const DType dtype = sizeof(S) == 1 ? DType::u8 : DType::f32;
  const auto a = numbers<S>(n, 0, 256, 1), b = numbers<S>(n, 0, 256, 2);
  Aligned<S> out(n);
  const Blend args{a.data(), b.data(), out.data(), dtype, 0.3f};
  const std::string name = "blend " + std::to_string(n) + (sizeof(S) == 1 ? " u8" : " f32");
  run<float>(name, [&] { k.blend(args, {0, n}); }, written(out));
}

}  // namespace

void pixels(const ImageKernels& k, bool few) {
  if (few) {
    layout<std::uint8_t>(k, {32, 3, -1, false});
    colour(k, 224, 3);
    blend<std::uint8_t>(k, 3072);
    return;
  }
  for (const index width : {1, 15, 16, 17, 33, 65, 333}) {
    for (const index channels : {1, 3, 4}) {
      for (const int step : {1, -1}) {
        if (width == 1 && step < 0) continue;
        for (const bool folded : {false, true}) {
          layout<std::uint8_t>(k, {width, channels, step, folded});
          layout<float>(k, {width, channels, step, folded});
        }
      }
      colour(k, width, channels);
    }
    blend<std::uint8_t>(k, width);
    blend<float>(k, width);
  }
}

}  // namespace fanin::test
