#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <type_traits>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/mixing.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "engine/augment/mixing.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr index pieces_per_member = 8;  // memory serves one thread better than another

/// Sizes of one of N images: interleaved (H, W[, C]) or planar ([C,] H, W). Mixup takes arrays of
/// any shape.
struct Sizes {
  index n, height, width, channels;
};
Sizes sizes_of(const py::array& images, MixKind kind, bool planar) {
  const py::ssize_t* s = images.shape();
  if (images.ndim() == 4) {
    return planar ? Sizes{s[0], s[2], s[3], s[1]} : Sizes{s[0], s[1], s[2], s[3]};
  }
  if (images.ndim() == 3) return {s[0], s[1], s[2], 1};
  if (kind == MixKind::cutmix || images.ndim() < 1) {
    throw py::value_error("images: expected shape (N, H, W), (N, H, W, C) or (N, C, H, W), got " +
                          describe(images));
  }
  index size = 1;
  for (py::ssize_t d = 1; d < images.ndim(); ++d) size *= s[d];
  return {s[0], 1, size, 1};
}

DType image_dtype(const py::array& images) {
  if (!is_masked(images) && holds<std::uint8_t>(images)) return DType::u8;
  if (!is_masked(images) && holds<float>(images)) return DType::f32;
  throw py::type_error("images: expected a plain array of uint8 or float32, got " +
                       std::string(is_masked(images) ? "a masked array" : describe(images)));
}

const std::int64_t* mixed_samples(const py::array& indices, index n) {
  const std::int64_t* samples = read<std::int64_t>(indices, "indices", {n});
  for (index i = 0; i < indices.shape(0); ++i) {
    if (samples[i] < 0) {
      throw py::value_error("indices: expected numbers of samples from 0, got " +
                            std::to_string(samples[i]) + " at " + std::to_string(i));
    }
  }
  return samples;
}

Tuple<py::array_t<double>, py::array_t<index>> as_arrays(const std::vector<Mixed>& mixed) {
  const auto n = static_cast<py::ssize_t>(mixed.size());
  py::array_t<double> lambdas(n);
  py::array_t<std::int64_t> boxes({n, py::ssize_t{4}});
  double* lambda = lambdas.mutable_data();
  std::int64_t* box = boxes.mutable_data();
  for (const Mixed& m : mixed) {
    *lambda++ = m.lambda;
    for (const index side : {m.top, m.left, m.bottom, m.right}) *box++ = side;
  }
  return py::make_tuple(lambdas, boxes);
}

std::vector<Mixed> draw(const Mixing& mixing, const std::int64_t* samples, index n,
                        std::uint64_t epoch, index height, index width) {
  std::vector<Mixed> mixed(static_cast<std::size_t>(n));
  without_gil([&] { draw_mix(mixing, samples, n, epoch, height, width, mixed.data()); });
  return mixed;
}

/// Lambdas and boxes, and the extremes of floats.
using MixResult = Tuple<py::array_t<double>, py::array_t<index>, py::object>;

/// The extremes of what several threads have read.
class Found {
 public:
  void join(const Extremes& e) {
    const std::lock_guard<std::mutex> guard(lock_);
    all_ = all_ ? joined(*all_, e) : e;
  }
  py::object as_tuple() const {
    if (!all_) return py::none();
    return py::make_tuple(all_->lowest, all_->highest, all_->finite);
  }

 private:
  std::mutex lock_;
  std::optional<Extremes> all_;
};

template <class T>
MixResult mix(const Mixing& mixing, const py::array& images, DType dtype, bool planar,
              const std::int64_t* samples, std::uint64_t epoch, py::array& out, int n_threads) {
  check_layout<T>(images, "images");
  const Sizes s = sizes_of(images, mixing.kind, planar);
  char* to = reinterpret_cast<char*>(write<T>(out, "out", shape_of(images)));
  require_disjoint(out, "out", images, "images");
  const std::vector<Mixed> mixed = draw(mixing, samples, s.n, epoch, s.height, s.width);
  const char* from = static_cast<const char*>(images.data());
  const index elements = s.height * s.width * s.channels;
  const index bytes = elements * static_cast<index>(sizeof(T));
  constexpr double flops_per_element = 4;  // a wait for memory, counted as work
  const double flops = flops_per_element * static_cast<double>(s.n * elements);
  Found found;
  const auto mix_one = [&](index i) {
    const char *own = from + i * bytes, *partner = from + (i > 0 ? i - 1 : s.n - 1) * bytes;
    if constexpr (std::is_same_v<T, float>) {  // here, where mixing then finds it in a cache
      if (elements > 0) found.join(kernels<T>().extremes(own, dtype, elements));
    }
    mix_images(mixing.kind, mixed[static_cast<std::size_t>(i)],
               {own, partner, to + i * bytes, dtype, planar, s.height, s.width, s.channels});
  };
  without_gil([&] {
    parallel_team(useful_threads(n_threads, flops), [&](Team& team) {
      const index pieces = std::min<index>(s.n, pieces_per_member * team.size());
      team.share(pieces, [&](index piece, int) {
        const Range rows = split(s.n, 1, piece, pieces);
        for (index i = rows.begin; i < rows.end; ++i) mix_one(i);
      });
    });
  });
  const py::tuple drawn = as_arrays(mixed);
  return py::make_tuple(drawn[0], drawn[1], found.as_tuple());
}

/// lambda y[i] + (1 - lambda) y[i - 1] of n labels' targets.
template <class Target>
py::array_t<float> mix_targets(const double* lambdas, index n, index classes, Target target) {
  py::array_t<float> mixed({n, classes});
  float* to = mixed.mutable_data();
  for (index i = 0; i < n; ++i) {
    const index partner = i > 0 ? i - 1 : n - 1;
    for (index c = 0; c < classes; ++c) {
      const double own = lambdas[i] * target(i, c);
      *to++ = static_cast<float>(own + (1 - lambdas[i]) * target(partner, c));
    }
  }
  return mixed;
}

py::array_t<float> mix_labels(const py::array& y, const py::array& lambdas, index classes) {
  const index n = y.ndim() > 0 ? y.shape(0) : any;
  const double* l = read<double>(lambdas, "lambdas", {n});
  if (holds<float>(y)) {
    const float* soft = read<float>(y, "y", {n, classes});
    return mix_targets(l, n, classes, [=](index i, index c) {
      return static_cast<double>(soft[i * classes + c]);
    });
  }
  const std::int32_t* labels = read<std::int32_t>(y, "y", {n});
  return mix_targets(l, n, classes, [=](index i, index c) { return labels[i] == c ? 1.0 : 0.0; });
}

}  // namespace

Mixing mixing_of(const std::string& kind, double alpha, double p, bool per_sample,
                 std::uint64_t seed) {
  const auto chosen = choice<MixKind>("kind", kind);
  if (!(alpha >= 0) || std::isinf(alpha)) {
    throw py::value_error("alpha: expected a finite number of at least 0, got " +
                          std::to_string(alpha));
  }
  if (!(p >= 0 && p <= 1)) {
    throw py::value_error("p: expected a probability in [0, 1], got " + std::to_string(p));
  }
  return {chosen, alpha, p, per_sample, seed};
}

void bind_mixing(py::module_& m) {
  m.def(
      "draw_mix",
      [](const std::string& kind, double alpha, double p, bool per_sample, std::uint64_t seed,
         const py::array& indices, std::uint64_t epoch, index height, index width) {
        const Mixing mixing = mixing_of(kind, alpha, p, per_sample, seed);
        const std::int64_t* samples = mixed_samples(indices, any);
        return as_arrays(draw(mixing, samples, indices.shape(0), epoch, height, width));
      },
      py::arg("kind"), py::arg("alpha"), py::arg("p"), py::arg("per_sample"), py::arg("seed"),
      py::arg("indices"), py::arg("epoch"), py::arg("height"), py::arg("width"),
      "Each sample's own share and the box of its partner (top, left, bottom, right).");
  m.def(
      "mix_images",
      [](const std::string& kind, double alpha, double p, bool per_sample, std::uint64_t seed,
         const py::array& images, bool planar, const py::array& indices, std::uint64_t epoch,
         py::array out, int n_threads) {
        const Mixing mixing = mixing_of(kind, alpha, p, per_sample, seed);
        const DType dtype = image_dtype(images);
        const index n = images.ndim() > 0 ? images.shape(0) : any;
        const std::int64_t* samples = mixed_samples(indices, n);
        return dtype == DType::u8
                   ? mix<std::uint8_t>(mixing, images, dtype, planar, samples, epoch, out,
                                       n_threads)
                   : mix<float>(mixing, images, dtype, planar, samples, epoch, out, n_threads);
      },
      py::arg("kind"), py::arg("alpha"), py::arg("p"), py::arg("per_sample"), py::arg("seed"),
      py::arg("images"), py::arg("planar"), py::arg("indices"), py::arg("epoch"), py::arg("out"),
      py::arg("n_threads"),
      "Mixes each image of a batch with the one before it, the first with the last, into out; "
      "returns what draw_mix does, and what extremes() does of floats.");
  m.def("mix_labels", &mix_labels, py::arg("y"), py::arg("lambdas"), py::arg("classes"),
        "Labels (n,) or soft ones (n, classes), mixed alike: (n, classes) float32.");
}

}  // namespace fanin::bind
