#include <algorithm>

#include "engine/augment/augmentation_workspace.hpp"
#include "isa/dispatch.hpp"
#include "kernels/image_layout.hpp"

namespace fanin {

namespace {

constexpr index block_values = 16384;  // of planes that stay in the caches nearest to the core

}  // namespace

Augmentation::Workspace::Workspace(const Plan& plan)
    : plan_(plan), drawn_(static_cast<std::size_t>(plan.size())) {
  geometry_.reserve(2 * drawn_.size());
  items_.reserve(4 * drawn_.size());
  steps_.reserve(4 * drawn_.size());
}

void Augmentation::Workspace::run(const Image& image, std::uint64_t sample, std::uint64_t epoch,
                                  int variant, const Output& out) {
  sample_ = sample;
  epoch_ = epoch;
  variant_ = variant;
  mask_ = out.mask;
  image_ = image;
  extent_ = {image.height, image.width};
  const Interval range = image.dtype == DType::u8 ? Interval{0, 255} : plan_.range;
  low_ = static_cast<float>(range.low);
  top_ = static_cast<float>(range.high - range.low);
  normalized_ = false;
  const Sink last = last_sink(out);
  for (index o = 0;;) {
    o = take_pixels(take_geometry(o));
    plan_resampling();
    if (o == plan_.size()) return render_last(last);
    render_image(items_);
  }
}

/// The last resampling that the geometric operations need; those before it are done.
void Augmentation::Workspace::plan_resampling() {
  const Geometry* ops = geometry_.data();
  auto left = static_cast<index>(geometry_.size());
  for (;;) {
    const index used = resampling_.plan(ops, left, {image_.height, image_.width}, mask_);
    if (used == left) return;
    ops += used;
    left -= used;
    render_image({});
  }
}

Sink Augmentation::Workspace::last_sink(const Output& out) const {
  const bool bytes = image_.dtype == DType::u8;
  Sink sink{out.data, out.dtype, out.planar, {}, true};
  if (!mask_ && (plan_.normalizes || (bytes && out.dtype == DType::f32))) {
    sink.affine = plan_.to_output[bytes];
    sink.as_they_are = false;
  }
  return sink;
}

/// The result of the resampling and the items is the image from then on.
void Augmentation::Workspace::render_image(Items items) {
  const auto [height, width] = resampling_.out;
  const bool copies = resampling_.kind == Resampling::copy && items.empty();
  const DType dtype = copies ? image_.dtype : DType::f32;
  Aligned<std::uint8_t>& memory = images_[next_image_];
  next_image_ = 1 - next_image_;
  memory.reserve(height * width * image_.channels * (dtype == DType::u8 ? 1 : 4));
  render({memory.data(), dtype, false, {}, true}, items);
  image_ = {memory.data(), dtype, height, width, image_.channels};
}

/// Rectangles that come last are erased in the output itself.
void Augmentation::Workspace::render_last(const Sink& sink) {
  std::size_t others = items_.size();
  while (others > 0 && items_[others - 1].kind == Item::box) --others;
  const Items items(items_);
  render(sink, items.first(others));
  const index channels = image_.channels, height = resampling_.out.height,
              width = resampling_.out.width;
  const Elements all = sink.planar ? Elements{sink.data, sink.dtype, height * width, width, 1}
                                   : Elements{sink.data, sink.dtype, 1, width * channels, channels};
  for (const Item& item : items.subspan(others)) {
    erase_box(item.erased, all, channels, {0, height},
              item.normalized ? ChannelAffine{} : sink.affine, row_);
  }
}

/// Straight to where the pixels go, if nothing happens on the way that a store cannot do.
void Augmentation::Workspace::render(const Sink& sink, Items items) {
  const auto [height, width] = resampling_.out;
  const Range rows{0, height};
  const bool planar = sink.planar || image_.channels == 1;
  const bool interleaved = !sink.planar || image_.channels == 1;
  if (resampling_.kind == Resampling::warp) prepare_warp();
  if (items.empty() && resampling_.kind == Resampling::copy && interleaved && sink.as_they_are &&
      sink.dtype == image_.dtype) {
    image_kernels().copy_pixels({pixel_map(), sink.data, width * image_.channels}, rows);
  } else if (items.empty() && planar && sink.dtype == DType::f32) {
    resample({static_cast<float*>(sink.data), height * width, width}, sink.affine, rows);
  } else {
    make_passes(sink, items);
  }
}

PixelMap Augmentation::Workspace::pixel_map() const {
  return {image_, resampling_.row_map, resampling_.column_map, fills()};
}

const float* Augmentation::Workspace::fills() const {
  return (mask_ ? plan_.no_fills : plan_.fills).data();
}

WarpImage Augmentation::Workspace::warp_of(const Planes& planes, const ChannelAffine& affine) {
  const std::vector<WarpStage>& stages = resampling_.stages;
  return {.source = image_,
          .stages = stages.data(),
          .n_stages = static_cast<int>(stages.size()),
          .fills = fills(),
          .nearest = mask_,
          .affine = affine,
          .width = resampling_.out.width,
          .out = planes,
          .workspace = warp_workspace_.data()};
}

void Augmentation::Workspace::prepare_warp() {
  warp_workspace_.reserve(warp_workspace_size(image_));
  image_kernels().prepare_warp(warp_of({}, {}));
}

void Augmentation::Workspace::resample(const Planes& planes, const ChannelAffine& affine,
                                       Range rows) {
  const Resampling& r = resampling_;
  if (r.kind == Resampling::copy) {
    image_kernels().unpack_pixels({pixel_map(), affine, planes}, rows);
  } else if (r.kind == Resampling::warp) {
    image_kernels().warp_image(warp_of(planes, affine), rows);
  } else {
    ResizeImage resize{image_, r.row_weights, r.column_weights, fills(), affine, planes, nullptr};
    resize_workspace_.reserve(resize_workspace_size(resize));
    resize.workspace = resize_workspace_.data();
    image_kernels().resize_image(resize, rows);
  }
}

/// By planes of floats: all steps run on a block of rows while it is in cache. A step
/// that needs a mean of the whole image begins another pass over all rows. Black is 0 in planes.
void Augmentation::Workspace::make_passes(const Sink& sink, Items items) {
  const index height = resampling_.out.height, width = resampling_.out.width,
              channels = image_.channels, stride = (width + 15) / 16 * 16;
  const ChannelAffine in = from_black();
  ChannelAffine out = sink.affine;
  for (int c = 0; c < most_channels; ++c) out.shift[c] += low_ * out.scale[c];
  const bool whole = std::ranges::any_of(items, &Item::needs_mean);
  const index block = std::max<index>(1, block_values / (channels * stride));
  const index held = whole ? height : std::min(block, height);
  planes_.reserve(channels * held * stride);
  for (bool first = true;; first = false) {
    std::size_t n = first ? 0 : 1;
    while (n < items.size() && !items[n].needs_mean) ++n;
    const bool last = n == items.size();
    for (Range rows{0, 0}; rows.begin < height; rows.begin = rows.end) {
      rows.end = std::min(rows.begin + block, height);
      const index skipped = whole ? 0 : rows.begin;
      const Planes planes{planes_.data() - skipped * stride, held * stride, stride};
      if (first) resample(planes, in, rows);
      run_items(items.first(n), planes, rows, !last);
      if (last) {
        image_kernels().pack_planes(
            {planes, out, width, height, channels, 0, sink.dtype, sink.planar, sink.data}, rows);
      }
    }
    if (last) return;
    items = items.subspan(n);
    double sum = 0;
    for (index i = 0; i < height; ++i) sum += luma_.data()[i];
    steps_[static_cast<std::size_t>(items[0].first_step)].mean =
        static_cast<float>(sum / (static_cast<double>(height) * static_cast<double>(width)));
  }
}

/// With `luma`, its sums of the rows as they are then.
void Augmentation::Workspace::run_items(Items items, const Planes& planes, Range rows, bool luma) {
  const index height = resampling_.out.height, width = resampling_.out.width,
              channels = image_.channels;
  luma_.reserve(height);
  const auto colour = [&](const ColourStep* steps, int n, bool sums) {
    image_kernels().colour_rows(
        {planes, width, channels, steps, n, top_, sums ? luma_.data() : nullptr}, rows);
  };
  for (const Item& item : items) {
    const bool at_end = &item == &items.back();
    if (item.kind == Item::colour) {
      colour(steps_.data() + item.first_step, item.steps, luma && at_end);
      luma &= !at_end;
    } else if (item.kind == Item::noise) {
      const auto& noise = std::get<Noise>(item.op->operation);
      image_kernels().noise_rows({planes, width, height, channels, key_of(*item.op), first_group(),
                                  static_cast<float>(noise.mean) * top_,
                                  static_cast<float>(noise.sigma) * top_, top_, noise.clip},
                                 rows);
    } else {
      const Elements all{planes.data, DType::f32, planes.plane_stride, planes.row_stride, 1};
      erase_box(item.erased, all, channels, rows, from_black(), row_);
    }
  }
  if (luma) colour(nullptr, 0, true);
}

/// Of an image's values to those of planes.
ChannelAffine Augmentation::Workspace::from_black() const {
  ChannelAffine a;
  for (float& shift : a.shift) shift -= low_;
  return a;
}

PhiloxKey Augmentation::Workspace::key_of(const PlannedOp& op) const {
  return {plan_.seed, stream_of(Purpose::augment, static_cast<std::uint64_t>(op.position), epoch_)};
}

}  // namespace fanin
