#include <pybind11/stl.h>

#include <tuple>

#include "bind/batch_augmentation.hpp"
#include "bind/classes.hpp"
#include "bind/mixing.hpp"

namespace fanin::bind {

namespace py = pybind11;

namespace {

using MixingArguments = std::tuple<std::string, double, double, bool, std::uint64_t>;

BatchAugmenter make_augmenter(std::tuple<index, index, index> shape,
                              std::shared_ptr<Augmentation> augmentation,
                              const std::optional<MixingArguments>& mixing) {
  const auto [height, width, channels] = shape;
  if (augmentation) {
    if (channels > most_channels || augmentation->variants() > 1 || augmentation->normalizes()) {
      throw py::value_error("augmentation: expected one image of the data's dtype for each image");
    }
    augmentation->output({height, width});
  }
  BatchAugmenter a{height, width, channels, std::move(augmentation), {}};
  if (mixing) a.mixing = std::apply(mixing_of, *mixing);
  return a;
}

}  // namespace

void bind_batch_augmentation(py::module_& m) {
  make_class<BatchAugmenter>(m, "BatchAugmenter")
      .def(py::init(&make_augmenter), py::arg("shape"), py::arg("augmentation") = py::none(),
           py::arg("mixing") = py::none(),
           "Of rows that are images of shape (height, width, channels); mixing is (kind, alpha, p, "
           "per_sample, seed), None for none.");
}

}  // namespace fanin::bind
