#pragma once
#include <array>
#include <cstdint>
#include <variant>
#include <vector>

#include "core/names.hpp"
#include "kernels/image.hpp"
#include "kernels/image_colour.hpp"
#include "kernels/image_geometry.hpp"

namespace fanin {

// The operations of a pipeline: a record for each kind, with its traits, and with what is drawn for
// a sample. fields() gives each number with its name, the one that Python uses, to f(name, number).

/// The properties of a kind.
struct Traits {
  const char* kind;        // in a program
  const char* class_name;  // in Python
  double flops = 0;        // per value, roughly
  bool geometric = false;
  bool flips = false;
  bool sets_size = false;        // to its height and width
  bool always = false;           // never skipped, neither by p nor by a group
  bool after_normalize = false;  // may follow Normalize
};

struct Interval {
  double low, high;

  bool is(double value) const { return low == value && high == value; }
};

using PerChannel = std::array<double, most_channels>;

struct Extent {
  index height, width;

  static void fields(auto& e, auto&& f) {
    f("height", e.height);
    f("width", e.width);
  }
};

struct Box {
  index top = 0, left = 0, height = 0, width = 0;

  static void fields(auto& b, auto&& f) {
    f("top", b.top);
    f("left", b.left);
    f("height", b.height);
    f("width", b.width);
  }
};

/// The box of that size in the middle, its corner rounded, ties to even.
inline Box middle_box(Extent image, Extent size) {
  const auto half = [](index excess) { return excess / 2 + (excess % 4 == 3 ? 1 : 0); };
  return {half(image.height - size.height), half(image.width - size.width), size.height,
          size.width};
}

/// For operations that draw only whether they are applied.
struct NothingDrawn {
  static void fields(auto&, auto&&) {}
};

/// The next `count` operations are applied, or none of them.
struct Gate {
  static constexpr Traits traits{.kind = "gate", .class_name = "RandomApply"};
  using Drawn = NothingDrawn;
  index count;

  static void fields(auto& o, auto&& f) { f("count", o.count); }
};

/// One of the next groups of operations is applied, all equally likely; counts: their sizes.
struct Choose {
  static constexpr Traits traits{.kind = "choose", .class_name = "OneOf"};
  struct Drawn {
    index group;

    static void fields(auto& d, auto&& f) { f("group", d.group); }
  };
  std::vector<index> counts;

  static void fields(auto& o, auto&& f) { f("counts", o.counts); }
};

/// alternating: flips where (the sample's draw + epoch) is odd.
struct HorizontalFlip {
  static constexpr Traits traits{.kind = "hflip",
                                 .class_name = "HorizontalFlip",
                                 .flops = 1,
                                 .geometric = true,
                                 .flips = true};
  using Drawn = NothingDrawn;
  bool alternating;

  static void fields(auto& o, auto&& f) { f("alternating", o.alternating); }
};

struct VerticalFlip {
  static constexpr Traits traits{
      .kind = "vflip", .class_name = "VerticalFlip", .flops = 1, .geometric = true, .flips = true};
  using Drawn = NothingDrawn;
  bool alternating;

  static void fields(auto& o, auto&& f) { f("alternating", o.alternating); }
};

/// A window of the padded image; drawn: the window, from the padded image's corner.
struct Crop {
  static constexpr Traits traits{
      .kind = "crop", .class_name = "RandomCrop", .flops = 1, .geometric = true, .sets_size = true};
  using Drawn = Box;
  index height, width;
  index left, top, right, bottom;  // padding
  Border border;
  PerChannel fill;

  Extent padded(Extent in) const { return {in.height + top + bottom, in.width + left + right}; }

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
    f("left", o.left);
    f("top", o.top);
    f("right", o.right);
    f("bottom", o.bottom);
    f("border", o.border);
    f("fill", o.fill);
  }
};

struct CentreCrop {
  static constexpr Traits traits{.kind = "centre_crop",
                                 .class_name = "CenterCrop",
                                 .flops = 1,
                                 .geometric = true,
                                 .sets_size = true};
  using Drawn = Box;
  index height, width;

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
  }
};

/// Which crops of the flipped image follow the five of the image itself.
enum class Mirrored : int { none, columns, rows };
template <>
inline constexpr const char* names<Mirrored>[] = {"none", "columns", "rows"};

struct CornerCrop {
  static constexpr Traits traits{.kind = "corner_crop",
                                 .class_name = "FiveCrop",
                                 .flops = 1,
                                 .geometric = true,
                                 .sets_size = true,
                                 .always = true};
  using Drawn = NothingDrawn;
  index height, width;
  Mirrored mirrored;

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
    f("mirrored", o.mirrored);
  }
};

/// width 0: the shorter edge becomes `height`. Drawn: the result's size.
struct Resize {
  static constexpr Traits traits{
      .kind = "resize", .class_name = "Resize", .flops = 20, .geometric = true, .sets_size = true};
  using Drawn = Extent;
  index height, width;
  bool antialias;

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
    f("antialias", o.antialias);
  }
};

/// scale: the window's fraction of the area; ratio: its width / height.
struct ResizedCrop {
  static constexpr Traits traits{.kind = "resized_crop",
                                 .class_name = "RandomResizedCrop",
                                 .flops = 20,
                                 .geometric = true,
                                 .sets_size = true};
  using Drawn = Box;
  index height, width;
  Interval scale, ratio;
  bool antialias;

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
    f("scale", o.scale);
    f("ratio", o.ratio);
    f("antialias", o.antialias);
  }
};

/// Angles in degrees, clockwise; translations are fractions of width and height, drawn in pixels.
struct Affine {
  static constexpr Traits traits{
      .kind = "affine", .class_name = "RandomAffine", .flops = 30, .geometric = true};
  struct Drawn {
    double degrees;
    index translate_x, translate_y;
    double scale, stretch, shear_x, shear_y;

    static void fields(auto& d, auto&& f) {
      f("degrees", d.degrees);
      f("translate_x", d.translate_x);
      f("translate_y", d.translate_y);
      f("scale", d.scale);
      f("stretch", d.stretch);
      f("shear_x", d.shear_x);
      f("shear_y", d.shear_y);
    }
  };
  Interval degrees;
  double translate_x, translate_y;
  Interval scale, stretch, shear_x, shear_y;
  PerChannel fill;

  static void fields(auto& o, auto&& f) {
    f("degrees", o.degrees);
    f("translate_x", o.translate_x);
    f("translate_y", o.translate_y);
    f("scale", o.scale);
    f("stretch", o.stretch);
    f("shear_x", o.shear_x);
    f("shear_y", o.shear_y);
    f("fill", o.fill);
  }
};

struct Lens {
  static constexpr Traits traits{
      .kind = "lens", .class_name = "LensDistortion", .flops = 30, .geometric = true};
  struct Drawn {
    double k1, k2;

    static void fields(auto& d, auto&& f) {
      f("k1", d.k1);
      f("k2", d.k2);
    }
  };
  Interval k1, k2;
  PerChannel fill;

  static void fields(auto& o, auto&& f) {
    f("k1", o.k1);
    f("k2", o.k2);
    f("fill", o.fill);
  }
};

/// Factors, of which [1, 1], and of hue [0, 0], change nothing; order: of the four steps.
struct Jitter {
  static constexpr Traits traits{.kind = "jitter", .class_name = "ColorJitter", .flops = 60};
  struct Drawn {
    double brightness, contrast, saturation, hue;
    std::array<Colour, 4> order;

    static void fields(auto& d, auto&& f) {
      f("brightness", d.brightness);
      f("contrast", d.contrast);
      f("saturation", d.saturation);
      f("hue", d.hue);
      f("order", d.order);
    }
  };
  Interval brightness, contrast, saturation, hue;

  static void fields(auto& o, auto&& f) {
    f("brightness", o.brightness);
    f("contrast", o.contrast);
    f("saturation", o.saturation);
    f("hue", o.hue);
  }
};

/// A colour operation that draws nothing gives its step.
struct Grayscale {
  static constexpr Traits traits{.kind = "grayscale", .class_name = "RandomGrayscale", .flops = 10};
  using Drawn = NothingDrawn;

  ColourStep step() const { return {Colour::grayscale, 0, 0}; }

  static void fields(auto&, auto&&) {}
};

/// mean and sigma where white is 1; clip: to [0, white].
struct Noise {
  static constexpr Traits traits{.kind = "noise", .class_name = "GaussianNoise", .flops = 30};
  using Drawn = NothingDrawn;
  double mean, sigma;
  bool clip;

  static void fields(auto& o, auto&& f) {
    f("mean", o.mean);
    f("sigma", o.sigma);
    f("clip", o.clip);
  }
};

/// scale: the rectangle's fraction of the area; ratio: its height / width; random: normal deviates
/// in place of the value. Drawn: the rectangle, of height 0 where none fitted.
struct Erase {
  static constexpr Traits traits{
      .kind = "erase", .class_name = "RandomErasing", .flops = 1, .after_normalize = true};
  using Drawn = Box;
  Interval scale, ratio;
  bool random;
  PerChannel value;

  static void fields(auto& o, auto&& f) {
    f("scale", o.scale);
    f("ratio", o.ratio);
    f("random", o.random);
    f("value", o.value);
  }
};

/// inside: all of the rectangle lies within the image, else its centre does. Drawn: the part of it
/// within the image.
struct Cutout {
  static constexpr Traits traits{
      .kind = "cutout", .class_name = "Cutout", .flops = 1, .after_normalize = true};
  using Drawn = Box;
  index height, width;
  bool inside;
  PerChannel value;

  static void fields(auto& o, auto&& f) {
    f("height", o.height);
    f("width", o.width);
    f("inside", o.inside);
    f("value", o.value);
  }
};

/// (x - mean) / std of values in [0, 1].
struct Normalize {
  static constexpr Traits traits{
      .kind = "normalize", .class_name = "Normalize", .flops = 1, .always = true};
  using Drawn = NothingDrawn;
  PerChannel mean, std;

  static void fields(auto& o, auto&& f) {
    f("mean", o.mean);
    f("std", o.std);
  }
};

using Operation =
    std::variant<Gate, Choose, HorizontalFlip, VerticalFlip, Crop, CentreCrop, CornerCrop, Resize,
                 ResizedCrop, Affine, Lens, Jitter, Grayscale, Noise, Erase, Cutout, Normalize>;

/// The draws for one operation and one sample; the values are the operation's Drawn, and
/// meaningless if it is not applied.
struct Drawn {
  bool applied;
  std::variant<NothingDrawn, Choose::Drawn, Extent, Box, Affine::Drawn, Lens::Drawn, Jitter::Drawn>
      values;
};

/// A visitor of a variant: one lambda for each of its types.
template <class... Lambdas>
struct Cases : Lambdas... {
  using Lambdas::operator()...;
};
template <class... Lambdas>
Cases(Lambdas...) -> Cases<Lambdas...>;  // clang 16 deduces no aggregate by itself

}  // namespace fanin
