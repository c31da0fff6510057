#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/classes.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/clock.hpp"
#include "core/parallel.hpp"
#include "engine/augment/augmentation.hpp"

namespace fanin::bind {

namespace {

constexpr double chunk_flops = 2e5;  // of the samples that a thread takes at once
constexpr std::int64_t most_samples = std::int64_t{1} << 40;

/// Takes an operation's fields by name from a dict.
class Fields {
 public:
  Fields(const Traits& traits, const py::dict& given) : traits_(traits), given_(given) {}

  void operator()(const char* name, index& to) { take(name, to, "a whole number"); }
  void operator()(const char* name, double& to) { take(name, to, "a number"); }
  void operator()(const char* name, bool& to) { take(name, to, "True or False"); }
  void operator()(const char* name, std::vector<index>& to) { take(name, to, "whole numbers"); }
  void operator()(const char* name, PerChannel& to) { take(name, to, "four numbers"); }
  void operator()(const char* name, Interval& to) {
    std::pair<double, double> range;
    take(name, range, "(low, high)");
    to = {range.first, range.second};
  }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(const char* name, E& to) {
    std::string chosen;
    take(name, chosen, "a name");
    to = choice<E>(label(name).c_str(), chosen);
  }

  /// Refuses fields that the operation does not have.
  void finish() const {
    if (given_.size() == names_.size()) return;
    throw py::value_error(std::string(traits_.class_name) + ": expected the fields " +
                          listed(names_) + "; got " +
                          py::str(py::list(given_)).cast<std::string>());
  }

 private:
  std::string label(const char* name) const {
    return traits_.class_name + (": " + std::string(name));
  }

  template <class T>
  void take(const char* name, T& to, const char* expected) {
    names_.push_back(name);
    if (!given_.contains(name)) throw py::value_error(label(name) + ": expected " + expected);
    const py::object value = given_[name];
    try {
      to = value.cast<T>();
    } catch (const py::cast_error&) {
      throw py::type_error(label(name) + ": expected " + expected + ", got " +
                           py::repr(value).cast<std::string>());
    }
  }

  const Traits& traits_;
  const py::dict& given_;
  std::vector<const char*> names_;
};

/// The alternative whose kind has that name, from its fields.
template <class... Os>
std::variant<Os...> operation_of(const std::string& kind, const py::dict& given,
                                 std::type_identity<std::variant<Os...>>) {
  std::variant<Os...> result;
  const auto read_as = [&]<class O>(std::type_identity<O>) {
    if (kind != O::traits.kind) return false;
    O operation{};
    Fields fields(O::traits, given);
    O::fields(operation, fields);
    fields.finish();
    result = std::move(operation);
    return true;
  };
  if ((read_as(std::type_identity<Os>{}) || ...)) return result;
  throw py::value_error("kind: expected one of " + listed(std::array{Os::traits.kind...}) +
                        "; got '" + kind + "'");
}

using GivenStep = std::tuple<std::string, double, py::dict>;  // kind, p, fields

std::shared_ptr<Augmentation> make(const std::vector<GivenStep>& given, std::uint64_t seed,
                                   std::pair<double, double> range) {
  std::vector<Step> steps;
  for (const auto& [kind, p, fields] : given) {
    steps.push_back({operation_of(kind, fields, std::type_identity<Operation>{}), p});
  }
  return std::make_shared<Augmentation>(std::move(steps), seed,
                                        Interval{range.first, range.second});
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
      std::vector<Augmentation::WorkspacePointer> workspaces;
      for (int i = 0; i < team.size(); ++i) workspaces.push_back(aug.workspace());
      Poller poll(poll_signals);
      team.share((n + chunk - 1) / chunk, [&](index part, int member) {
        Augmentation::Workspace& workspace = *workspaces[static_cast<std::size_t>(member)];
        for (index i = part * chunk; i < std::min(n, (part + 1) * chunk); ++i) {
          for (index v = 0; v < variants; ++v) {
            aug.apply(images.image[static_cast<std::size_t>(i)],
                      static_cast<std::uint64_t>(numbers[i]), epoch, static_cast<int>(v),
                      {data + (i * variants + v) * bytes, dtype, planar, mask}, workspace);
          }
        }
        poll(member);
      });
    });
  });
}

py::array values_of(index n, double) { return py::array_t<double>(n); }
py::array values_of(index n, index) { return py::array_t<std::int64_t>(n); }
template <std::size_t N>
py::array values_of(index n, const std::array<Colour, N>&) {
  return py::array_t<std::int64_t>({n, static_cast<index>(N)});
}

void store(py::array& values, index i, double value) {
  static_cast<double*>(values.mutable_data())[i] = value;
}
void store(py::array& values, index i, index value) {
  static_cast<std::int64_t*>(values.mutable_data())[i] = value;
}
template <std::size_t N>
void store(py::array& values, index i, const std::array<Colour, N>& value) {
  auto* to = static_cast<std::int64_t*>(values.mutable_data()) + i * static_cast<index>(N);
  for (const Colour colour : value) *to++ = static_cast<std::int64_t>(colour);
}

/// What is drawn for n samples by one operation, each of its values an array; 0 where not applied.
class DrawnArrays {
 public:
  DrawnArrays(index n, const Operation& operation) : operation_(operation), applied_(n) {
    each_value(Drawn{}, [&](const char* name, const auto& value) {
      names_.push_back(name);
      values_.push_back(values_of(n, value));
    });
  }

  void put(index sample, const Drawn& drawn) {
    applied_.mutable_at(sample) = drawn.applied;
    auto to = values_.begin();
    each_value(drawn, [&](const char*, const auto& value) { store(*to++, sample, value); });
  }

  py::dict by_name() const {
    py::dict result(py::arg("applied") = applied_);
    for (std::size_t i = 0; i < names_.size(); ++i) result[names_[i]] = values_[i];
    return result;
  }

 private:
  template <class F>
  void each_value(const Drawn& drawn, F&& f) const {
    std::visit(
        [&]<class O>(const O&) {
          const typename O::Drawn nothing{};
          const auto* values = std::get_if<typename O::Drawn>(&drawn.values);
          O::Drawn::fields(values && drawn.applied ? *values : nothing, f);
        },
        operation_);
  }

  const Operation& operation_;
  py::array_t<bool> applied_;
  std::vector<const char*> names_;
  std::vector<py::array> values_;
};

py::list draw(const Augmentation& aug, const py::array& indices, std::uint64_t epoch,
              const py::array& heights, const py::array& widths) {
  const index n = indices.ndim() == 1 ? indices.shape(0) : any;
  const auto* numbers = sample_numbers(indices, n);
  const auto* height = read<std::int64_t>(heights, "heights", {n});
  const auto* width = read<std::int64_t>(widths, "widths", {n});
  for (index i = 0; i < n; ++i) aug.output({height[i], width[i]});
  std::vector<DrawnArrays> arrays;
  for (const Step& step : aug.steps()) arrays.emplace_back(n, step.operation);
  std::vector<Drawn> drawn(arrays.size());
  for (index i = 0; i < n; ++i) {
    aug.draw(static_cast<std::uint64_t>(numbers[i]), epoch, {height[i], width[i]}, drawn.data());
    for (std::size_t o = 0; o < drawn.size(); ++o) arrays[o].put(i, drawn[o]);
  }
  py::list result;
  for (const DrawnArrays& a : arrays) result.append(a.by_name());
  return result;
}

}  // namespace

void bind_augmentation(py::module_& m) {
  make_class<Augmentation, std::shared_ptr<Augmentation>>(m, "Augmentation")
      .def(py::init(&make), py::arg("steps"), py::arg("seed"),
           py::arg("value_range") = std::pair(0.0, 1.0),
           "A pipeline of operations (kind, p, fields): see engine/augment/operations.hpp.")
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
      .def(
          "draw", &draw, py::arg("indices"), py::arg("epoch"), py::arg("heights"),
          py::arg("widths"),
          "What is drawn for samples: a dict for each operation of applied (N,) and its values (N, "
          "...) by name.")
      .def("run", &run, py::arg("images"), py::arg("indices"), py::arg("epoch"), py::arg("out"),
           py::arg("planar"), py::arg("mask"), py::arg("n_threads"), "Augments images into out.");
}

}  // namespace fanin::bind
