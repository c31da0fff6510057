#include <algorithm>

#include "engine/augmentation_room.hpp"
#include "isa/dispatch.hpp"
#include "kernels/image_layout.hpp"

namespace fanin {

namespace {

constexpr index block_values = 16384;  // of planes that stay in the caches nearest to the core

index bytes_of(DType dtype) { return dtype == DType::u8 ? 1 : 4; }

}  // namespace

Augmentation::Room::Room(const Plan& plan)
    : plan_(plan), drawn_(static_cast<std::size_t>(plan.size())) {
  geometry_.reserve(2 * drawn_.size());
  items_.reserve(4 * drawn_.size());
  steps_.reserve(4 * drawn_.size());
}

void Augmentation::Room::run(const Image& image, std::uint64_t sample, std::uint64_t epoch,
                             int variant, const Output& out) {
  sample_ = sample;
  epoch_ = epoch;
  variant_ = variant;
  mask_ = out.mask;
  image_ = image;
  extent_ = {image.height, image.width};
  top_ = image.dtype == DType::u8 ? 255.0f : 1.0f;
  normalized_ = false;
  const Sink last = last_sink(out);
  for (index o = 0;;) {
    o = take_geometry(o);
    const Geometry* ops = geometry_.data();
    index left = static_cast<index>(geometry_.size()), used = 0;
    Extent source{image_.height, image_.width};
    Resampling r = next_resampling(ops, left, source, mask_, resampling_room_, &used);
    items_.clear();
    while (used < left) {
      render_image(r);
      ops += used;
      left -= used;
      r = next_resampling(ops, left, r.out, mask_, resampling_room_, &used);
    }
    if (o < plan_.size()) o = take_pixels(o);
    if (o == plan_.size()) return render_last(r, last);
    render_image(r);
  }
}

Sink Augmentation::Room::last_sink(const Output& out) const {
  const bool bytes = image_.dtype == DType::u8;
  Sink sink{out.data, out.dtype, out.planar, {}, true};
  if (!mask_ && (plan_.normalizes || (bytes && out.dtype == DType::f32))) {
    sink.affine = plan_.normalize[bytes];
    sink.as_they_are = false;
  }
  return sink;
}

/// The image as it stands after a resampling and the items becomes the source of what follows.
void Augmentation::Room::render_image(const Resampling& r) {
  const bool same = r.kind == Resampling::copy && items_.empty();
  const Image out{nullptr, same ? image_.dtype : DType::f32, r.out.height, r.out.width,
                  image_.channels};
  Aligned<std::uint8_t>& room = images_[next_];
  next_ = 1 - next_;
  room.reserve(out.height * out.width * out.channels * bytes_of(out.dtype));
  render(r, {room.data(), out.dtype, false, {}, true});
  image_ = out;
  image_.data = room.data();
}

/// Rectangles that come last are erased in the output itself.
void Augmentation::Room::render_last(const Resampling& r, const Sink& sink) {
  std::size_t boxes = items_.size();
  while (boxes > 0 && items_[boxes - 1].kind == Item::box) --boxes;
  last_boxes_.assign(items_.begin() + static_cast<std::ptrdiff_t>(boxes), items_.end());
  items_.resize(boxes);
  render(r, sink);
  const index channels = image_.channels, pixels = r.out.height * r.out.width;
  const Elements all{sink.data, sink.dtype, sink.planar ? pixels : 1,
                     sink.planar ? r.out.width : r.out.width * channels,
                     sink.planar ? 1 : channels};
  for (const Item& item : last_boxes_) {
    erase_box(box_of(item), all, channels, {0, r.out.height},
              item.normalized ? ChannelAffine{} : sink.affine, row_room_);
  }
}

void Augmentation::Room::render(const Resampling& r, const Sink& sink) {
  const Range rows{0, r.out.height};
  const bool one_plane = sink.planar || image_.channels == 1;
  if (items_.empty() && r.kind == Resampling::copy && sink.as_they_are &&
      sink.dtype == image_.dtype && (!sink.planar || image_.channels == 1)) {
    const CopyPixels copy{pixel_map(r), sink.data, r.out.width * image_.channels};
    return image_kernels().copy_pixels(copy, rows);
  }
  if (r.kind == Resampling::warp) prepare_warp(r);
  if (items_.empty() && sink.dtype == DType::f32 && one_plane) {
    const Planes planes{static_cast<float*>(sink.data), r.out.height * r.out.width, r.out.width};
    return resample(r, planes, sink.affine, rows);
  }
  make_passes(r, sink);
}

PixelMap Augmentation::Room::pixel_map(const Resampling& r) const {
  return {image_, r.row_map, r.column_map, fills()};
}

const float* Augmentation::Room::fills() const {
  return (mask_ ? plan_.no_fills : plan_.fills).data();
}

WarpImage Augmentation::Room::warp_of(const Resampling& r, const Planes& planes,
                                      const ChannelAffine& affine) {
  return {image_, r.stages,    r.n_stages, fills(),          mask_,
          affine, r.out.width, planes,     warp_room_.data()};
}

void Augmentation::Room::prepare_warp(const Resampling& r) {
  warp_room_.reserve(warp_room(image_));
  image_kernels().prepare_warp(warp_of(r, {}, {}));
}

void Augmentation::Room::resample(const Resampling& r, const Planes& planes,
                                  const ChannelAffine& affine, Range rows) {
  if (r.kind == Resampling::copy) {
    image_kernels().unpack_pixels({pixel_map(r), affine, planes}, rows);
  } else if (r.kind == Resampling::warp) {
    image_kernels().warp_image(warp_of(r, planes, affine), rows);
  } else {
    ResizeImage resize{image_, r.row_weights, r.column_weights, fills(), affine, planes, nullptr};
    resize_room_.reserve(resize_room(resize));
    resize.room = resize_room_.data();
    image_kernels().resize_image(resize, rows);
  }
}

/// Through planes of floats: blocks of rows go through everything while they are in cache. A step
/// that needs a mean of the whole image begins another pass over all rows.
void Augmentation::Room::make_passes(const Resampling& r, const Sink& sink) {
  const index height = r.out.height, width = r.out.width, channels = image_.channels;
  const index stride = (width + 15) / 16 * 16;
  const bool whole = std::ranges::any_of(items_, [](const Item& i) { return i.needs_mean; });
  const index fitting = std::max<index>(1, block_values / (channels * stride));
  const index held = whole ? height : std::min(fitting, height);
  planes_.reserve(channels * held * stride);
  luma_.reserve(height);
  for (std::size_t first = 0, pass = 0;; ++pass) {
    std::size_t last = first + (pass > 0);
    while (last < items_.size() && !items_[last].needs_mean) ++last;
    const bool final = last == items_.size();
    for (Range rows{0, 0}; rows.begin < height; rows.begin = rows.end) {
      rows.end = std::min(rows.begin + fitting, height);
      const index skipped = whole ? 0 : rows.begin;
      const Planes planes{planes_.data() - skipped * stride, held * stride, stride};
      if (pass == 0) resample(r, planes, {}, rows);
      for (std::size_t i = first; i < last; ++i) run_item(items_[i], planes, r.out, rows);
      if (final) {
        image_kernels().pack_planes(
            {planes, sink.affine, width, height, channels, 0, sink.dtype, sink.planar, sink.data},
            rows);
      } else {
        image_kernels().colour_rows({planes, width, channels, nullptr, 0, top_, luma_.data()},
                                    rows);
      }
    }
    if (final) return;
    double sum = 0;
    for (index i = 0; i < height; ++i) sum += luma_.data()[i];
    steps_[static_cast<std::size_t>(items_[last].first_step)].mean =
        static_cast<float>(sum / (static_cast<double>(height) * static_cast<double>(width)));
    first = last;
  }
}

void Augmentation::Room::run_item(const Item& item, const Planes& planes, Extent size, Range rows) {
  const index channels = image_.channels;
  if (item.kind == Item::colour) {
    image_kernels().colour_rows(
        {planes, size.width, channels, steps_.data() + item.first_step, item.steps, top_, nullptr},
        rows);
  } else if (item.kind == Item::noise) {
    const double* n = item.op->number;
    image_kernels().noise_rows(
        {planes, size.width, size.height, channels, key_of(*item.op), first_group(),
         static_cast<float>(n[0]) * top_, static_cast<float>(n[1]) * top_, top_, n[2] != 0},
        rows);
  } else {
    const Elements all{planes.data, DType::f32, planes.plane_stride, planes.row_stride, 1};
    erase_box(box_of(item), all, channels, rows, {}, row_room_);
  }
}

PhiloxKey Augmentation::Room::key_of(const PlannedOp& op) const {
  return {plan_.seed, stream_of(Purpose::augment, static_cast<std::uint64_t>(op.position), epoch_)};
}

ErasedBox Augmentation::Room::box_of(const Item& item) const {
  const double* at = drawn_[static_cast<std::size_t>(item.op->position)].value;
  const double* value = item.op->number + fill_position(item.op->kind);
  const bool random = item.op->kind == AugmentKind::erase && item.op->number[4] != 0;
  return {static_cast<index>(at[0]),
          static_cast<index>(at[1]),
          static_cast<index>(at[2]),
          static_cast<index>(at[3]),
          random ? nullptr : value,
          key_of(*item.op),
          first_group()};
}

Augmentation::RoomPointer Augmentation::room() const { return RoomPointer(new Room(*plan_)); }
void Augmentation::RoomDeleter::operator()(Room* room) const { delete room; }

void Augmentation::apply(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
                         const Output& out, Room& room) const {
  draw(sample, epoch, {image.height, image.width}, room.drawn());
  room.run(image, sample, epoch, variant, out);
}

}  // namespace fanin
