#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/names.hpp"
#include "bind/signals.hpp"
#include "core/clock.hpp"
#include "core/parallel.hpp"
#include "engine/augment/augmentation.hpp"

namespace fanin::bind {

namespace {

constexpr const char* kinds[] = {
    "gate",        "choose", "hflip",        "vflip",  "crop",     "centre_crop",
    "corner_crop", "resize", "resized_crop", "affine", "lens",     "jitter",
    "grayscale",   "noise",  "erase",        "cutout", "normalize"};

constexpr double chunk_flops = 2e5;  // of the samples that a thread takes at once
constexpr std::int64_t most_samples = std::int64_t{1} << 40;

using Op = std::tuple<std::string, double, std::vector<double>>;

std::shared_ptr<Augmentation> make(const std::vector<Op>& given, std::uint64_t seed) {
  std::vector<AugmentOp> ops;
  for (const auto& [kind, p, numbers] : given) {
    ops.push_back({static_cast<AugmentKind>(choice("kind", kind, kinds)), p, numbers});
  }
  return std::make_shared<Augmentation>(std::move(ops), seed);
}

/// Images of one dtype and number of channels.
struct Images {
  std::vector<Image> image;
  bool many = false;  // a list of arrays, not one array
  DType dtype = DType::u8;
  index channels = 0;
};

DType image_dtype(const py::array& a, const std::string& name) {
  if (!is_masked(a) && holds<std::uint8_t>(a)) return DType::u8;
  if (!is_masked(a) && holds<float>(a)) return DType::f32;
  throw py::type_error(name + ": expected uint8 or float32, got " +
                       (is_masked(a) ? "a masked array; fill or drop its mask" : describe(a)));
}

const void* image_data(const py::array& a, const std::string& name, index ndim) {
  const bool bytes = image_dtype(a, name) == DType::u8;
  if (bytes) {
    check_layout<std::uint8_t>(a, name.c_str());
  } else {
    check_layout<float>(a, name.c_str());
  }
  const bool fits = a.ndim() == ndim;
  const index c = fits ? a.shape(ndim - 1) : 0;
  if (!fits || (c != 1 && c != 3 && c != 4)) {
    throw py::value_error(name + ": expected shape " + (ndim == 4 ? "(N, " : "(") +
                          "height, width, channels) with 1, 3 or 4 channels, got " + describe(a));
  }
  return a.data();
}

Images images_of(const py::array& a) {
  const auto* data = static_cast<const char*>(image_data(a, "images", 4));
  Images images{{}, false, image_dtype(a, "images"), a.shape(3)};
  const index height = a.shape(1), width = a.shape(2);
  const index bytes = height * width * images.channels * (images.dtype == DType::u8 ? 1 : 4);
  for (index i = 0; i < a.shape(0); ++i) {
    images.image.push_back({data + i * bytes, images.dtype, height, width, images.channels});
  }
  return images;
}

Images images_of(const py::sequence& list) {
  Images images;
  images.many = true;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string name = "images[" + std::to_string(i) + "]";
    const py::object item = list[i];
    if (!py::isinstance<py::array>(item)) {
      throw py::type_error(name + ": expected an array, got " +
                           py::str(py::type::of(item)).cast<std::string>());
    }
    const auto a = py::reinterpret_borrow<py::array>(item);
    const void* data = image_data(a, name, 3);
    const DType dtype = image_dtype(a, name);
    if (i == 0) {
      images.dtype = dtype;
      images.channels = a.shape(2);
    } else if (dtype != images.dtype || a.shape(2) != images.channels) {
      throw py::value_error(name + ": expected the dtype and channels of images[0], got " +
                            describe(a));
    }
    images.image.push_back({data, dtype, a.shape(0), a.shape(1), images.channels});
  }
  return images;
}

Images any_images(const py::object& images) {
  if (py::isinstance<py::array>(images)) {
    return images_of(py::reinterpret_borrow<py::array>(images));
  }
  if (py::isinstance<py::list>(images) || py::isinstance<py::tuple>(images)) {
    return images_of(py::reinterpret_borrow<py::sequence>(images));
  }
  throw py::type_error("images: expected an array or a list of arrays, got " +
                       py::str(py::type::of(images)).cast<std::string>());
}

/// The output's size, which all images must share.
Extent common_output(const Augmentation& aug, const Images& images) {
  Extent size{}, last{};
  for (std::size_t i = 0; i < images.image.size(); ++i) {
    const Image& image = images.image[i];
    if (i > 0 && image.height == last.height && image.width == last.width) continue;
    last = {image.height, image.width};
    Extent mine{};
    try {
      mine = aug.output(last);
    } catch (const std::invalid_argument& error) {
      if (!images.many) throw;
      throw py::value_error("images[" + std::to_string(i) + "]: " + error.what());
    }
    if (i > 0 && (mine.height != size.height || mine.width != size.width)) {
      const auto text = [](Extent e) {
        return std::to_string(e.height) + " x " + std::to_string(e.width);
      };
      throw py::value_error("images[" + std::to_string(i) + "]: expected an image that becomes " +
                            text(size) + " as those before it, got one that becomes " + text(mine) +
                            "; crop or Resize to one size");
    }
    size = mine;
  }
  return size;
}

const std::int64_t* sample_numbers(const py::array& indices, index n) {
  const auto* numbers = read<std::int64_t>(indices, "indices", {n});
  for (index i = 0; i < n; ++i) {
    if (numbers[i] < 0 || numbers[i] >= most_samples) {
      throw py::value_error("indices: expected numbers in [0, 2^40), got " +
                            std::to_string(numbers[i]) + " at " + std::to_string(i));
    }
  }
  return numbers;
}

DType output_dtype(const Augmentation& aug, const py::array& out, DType in, bool mask) {
  const DType dtype = image_dtype(out, "out");
  const bool floats = in == DType::f32 || (aug.normalizes() && !mask);
  if (floats && dtype == DType::u8) {
    throw py::type_error(
        "out: expected float32, got uint8; " +
        std::string(in == DType::f32 ? "the images are float32" : "normalised values are floats"));
  }
  return dtype;
}

char* output_data(py::array& out, DType dtype, const std::vector<index>& shape) {
  if (dtype == DType::u8) return reinterpret_cast<char*>(write<std::uint8_t>(out, "out", shape));
  return reinterpret_cast<char*>(write<float>(out, "out", shape));
}

void require_apart(const py::array& out, const py::object& images) {
  if (py::isinstance<py::array>(images)) {
    return require_disjoint(out, "out", py::reinterpret_borrow<py::array>(images), "images");
  }
  for (const py::handle image : images) {
    require_disjoint(out, "out", py::reinterpret_borrow<py::array>(image), "images");
  }
}

/// Of the largest image, at either end.
double image_flops(const Augmentation& aug, const Images& images, Extent output) {
  Extent most = output;
  for (const Image& image : images.image) {
    most = {std::max(most.height, image.height), std::max(most.width, image.width)};
  }
  return aug.flops(most) * static_cast<double>(images.channels * aug.variants());
}

void run(const Augmentation& aug, const py::object& given, const py::array& indices,
         std::uint64_t epoch, py::array out, bool planar, bool mask, int n_threads) {
  const Images images = any_images(given);
  const auto n = static_cast<index>(images.image.size());
  const auto* numbers = sample_numbers(indices, n);
  const DType dtype = output_dtype(aug, out, images.dtype, mask);
  if (n == 0) {
    if (out.size() > 0) throw py::value_error("out: expected no images, got " + describe(out));
    return;
  }
  const Extent size = common_output(aug, images);
  const index variants = aug.variants(), channels = images.channels;
  std::vector<index> shape{n};
  if (variants > 1) shape.push_back(variants);
  if (planar) shape.push_back(channels);
  shape.insert(shape.end(), {size.height, size.width});
  if (!planar) shape.push_back(channels);
  char* data = output_data(out, dtype, shape);
  require_apart(out, given);
  const index bytes = size.height * size.width * channels * (dtype == DType::u8 ? 1 : 4);
  const double flops = image_flops(aug, images, size);
  const index chunk = std::clamp<index>(static_cast<index>(chunk_flops / flops), 1, n);
  without_gil([&] {
    const int threads = useful_threads(n_threads, flops * static_cast<double>(n));
    parallel_team(threads, [&](Team& team) {
      std::vector<Augmentation::RoomPointer> rooms;
      for (int i = 0; i < team.size(); ++i) rooms.push_back(aug.room());
      Poller poll(poll_signals);
      team.share((n + chunk - 1) / chunk, [&](index part, int member) {
        Augmentation::Room& room = *rooms[static_cast<std::size_t>(member)];
        for (index i = part * chunk; i < std::min(n, (part + 1) * chunk); ++i) {
          for (index v = 0; v < variants; ++v) {
            aug.apply(images.image[static_cast<std::size_t>(i)],
                      static_cast<std::uint64_t>(numbers[i]), epoch, static_cast<int>(v),
                      {data + (i * variants + v) * bytes, dtype, planar, mask}, room);
          }
        }
        poll(member);
      });
    });
  });
}

Tuple<py::array, py::array> draw(const Augmentation& aug, const py::array& indices,
                                 std::uint64_t epoch, const py::array& heights,
                                 const py::array& widths) {
  const index n = indices.ndim() == 1 ? indices.shape(0) : any;
  const auto* numbers = sample_numbers(indices, n);
  const auto* height = read<std::int64_t>(heights, "heights", {n});
  const auto* width = read<std::int64_t>(widths, "widths", {n});
  const auto ops = static_cast<index>(aug.ops().size());
  for (index i = 0; i < n; ++i) aug.output({height[i], width[i]});
  py::array_t<bool> applied({n, ops});
  py::array_t<double> values({n, ops, index{drawn_values}});
  std::vector<Drawn> drawn(static_cast<std::size_t>(ops));
  for (index i = 0; i < n; ++i) {
    std::ranges::fill(drawn, Drawn{});
    aug.draw(static_cast<std::uint64_t>(numbers[i]), epoch, {height[i], width[i]}, drawn.data());
    for (index o = 0; o < ops; ++o) {
      const Drawn& d = drawn[static_cast<std::size_t>(o)];
      applied.mutable_data()[i * ops + o] = d.applied;
      std::copy_n(d.value, drawn_values, values.mutable_data() + (i * ops + o) * drawn_values);
    }
  }
  return py::make_tuple(applied, values);
}

}  // namespace

void bind_augmentation(py::module_& m) {
  py::class_<Augmentation, std::shared_ptr<Augmentation>>(m, "Augmentation")
      .def(py::init(&make), py::arg("ops"), py::arg("seed"),
           "A pipeline of operations (kind, p, numbers): see engine/augment/augmentation.hpp.")
      .def_property_readonly("variants", &Augmentation::variants)
      .def_property_readonly("normalizes", &Augmentation::normalizes)
      .def(
          "output",
          [](const Augmentation& aug, index height, index width) {
            const Extent size = aug.output({height, width});
            return py::make_tuple(size.height, size.width);
          },
          py::arg("height"), py::arg("width"),
          "The output's (height, width) for an input's; an error where an operation does not fit.")
      .def("draw", &draw, py::arg("indices"), py::arg("epoch"), py::arg("heights"),
           py::arg("widths"),
           "What is drawn for samples: applied (N, ops), values (N, ops, 10); what they are stands "
           "beside draw_values of engine/augment/augmentation_draw.cpp.")
      .def("run", &run, py::arg("images"), py::arg("indices"), py::arg("epoch"), py::arg("out"),
           py::arg("planar"), py::arg("mask"), py::arg("n_threads"), "Augments images into out.");
}

}  // namespace fanin::bind
