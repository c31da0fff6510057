#pragma once
#include <span>
#include <vector>

#include "core/aligned.hpp"
#include "engine/augment/augmentation_plan.hpp"
#include "engine/augment/geometry.hpp"
#include "kernels/image_colour.hpp"

namespace fanin {

/// The destination of finished pixels, and the conversion of their values.
struct Sink {
  void* data;
  DType dtype;
  bool planar;
  ChannelAffine affine;
  bool as_they_are;  // the affine changes nothing
};

/// Elements of an image, wherever its channels, rows and columns lie.
struct Elements {
  void* data;
  DType dtype;
  index channel_stride, row_stride, column_stride;
};

/// A rectangle to be erased.
struct ErasedBox {
  Box at;
  const PerChannel* value;  // null: normal deviates of the key from first_group on
  PhiloxKey key;
  std::uint64_t first_group;
};

/// Erases the part of the box in rows [begin, end); the affine is applied to the value.
void erase_box(const ErasedBox& box, const Elements& image, index channels, Range rows,
               const ChannelAffine& affine, Aligned<float>& scratch);

/// One thread's memory and its processing of a sample: runs of geometric operations, fused into one
/// resampling where possible, alternate with runs of operations on pixels.
struct Augmentation::Workspace {
 public:
  explicit Workspace(const Plan& plan);

  void run(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
           const Output& out);

  Drawn* drawn() { return drawn_.data(); }

 private:
  /// Operations on pixels that one pass over a row does.
  struct Item {
    enum Kind : int { colour, noise, box } kind;
    const PlannedOp* op;
    int first_step = 0, steps = 0;  // colour
    bool needs_mean = false;        // colour: of the image as it stands, all rows must be there
    ErasedBox erased{};             // box
    bool normalized = false;        // box: so is its value

    bool is_colour() const { return kind == colour; }
  };

  using Items = std::span<const Item>;

  index take_geometry(index o);
  index take_pixels(index o);
  void push_geometry(const PlannedOp& op, const Drawn& drawn);
  void push_pixels(const PlannedOp& op, const Drawn& drawn);
  Geometry& push(Geometry::Kind kind, Extent out);
  void push_crop(index top, index left, Extent size);
  void push_corner(const CornerCrop& crop, Extent out);
  void push_colour(ColourStep step, const PlannedOp& op);
  void push_jitter(const PlannedOp& op, const Jitter& jitter, const Jitter::Drawn& drawn);
  void push_box(const PlannedOp& op, const Box& box, const PerChannel* value);

  Sink last_sink(const Output& out) const;
  void plan_resampling();
  void render_image(Items items);
  void render_last(const Sink& sink);
  void render(const Sink& sink, Items items);
  void make_passes(const Sink& sink, Items items);
  void run_items(Items items, const Planes& planes, Range rows, bool luma);
  void resample(const Planes& planes, const ChannelAffine& affine, Range rows);
  void prepare_warp();
  WarpImage warp_of(const Planes& planes, const ChannelAffine& affine);
  PixelMap pixel_map() const;
  const float* fills() const;
  ChannelAffine from_black() const;
  PhiloxKey key_of(const PlannedOp& op) const;
  std::uint64_t first_group() const { return (sample_ << 20) + 1; }

  const Plan& plan_;
  std::uint64_t sample_ = 0, epoch_ = 0;
  int variant_ = 0;
  bool mask_ = false;
  float low_ = 0;    // of the images' values: black
  float top_ = 1;    // white, from black on: 255 of bytes
  Image image_{};    // as it stands
  Extent extent_{};  // after the operations so far
  bool normalized_ = false;
  std::vector<Drawn> drawn_;
  std::vector<Geometry> geometry_;
  std::vector<Item> items_;
  std::vector<ColourStep> steps_;
  Resampling resampling_{};
  Aligned<float> planes_, resize_workspace_, row_;
  Aligned<std::uint8_t> warp_workspace_, images_[2];
  Aligned<double> luma_;
  int next_image_ = 0;
};

}  // namespace fanin
