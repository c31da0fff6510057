#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>

#include "bind/arrays.hpp"
#include "bind/classes.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"
#include "kernels/random.hpp"

namespace fanin::bind {

namespace {

// What a draw costs in the measure of useful_threads: about 1 ns for floats, 15 for whole numbers.
constexpr double fill_flops = 50, integer_flops = 800;
constexpr index piece_step = 64 * 16;

template <class T>
void fill(py::array& out, Distribution distribution, PhiloxKey key, std::uint64_t first_group,
          double a, double b, int n_threads) {
  RandomFill<T> f{distribution,      key, first_group,         static_cast<T>(a),
                  static_cast<T>(b), 0,   write<T>(out, "out")};
  if (distribution == Distribution::bernoulli) {
    const double threshold = std::floor(a * 0x1p32 + 0.5);
    if (!(threshold >= 0 && threshold <= 0x1p32)) {
      throw py::value_error("a: expected a probability in [0, 1], got " + std::to_string(a));
    }
    if (threshold < 0x1p32) {
      f.threshold = static_cast<std::uint32_t>(threshold);
    } else {  // certain: beyond any 32-bit threshold
      f.distribution = Distribution::uniform;
      f.a = T(1);
      f.b = T(0);
    }
  }
  const index n = out.size();
  without_gil([&] {
    parallel_for(n, piece_step, useful_threads(n_threads, fill_flops * static_cast<double>(n)),
                 [&](index begin, index end) { kernels<T>().random_fill(f, {begin, end}); });
  });
}

void random_fill(py::array out, const std::string& distribution, std::uint64_t seed,
                 std::uint64_t stream, std::uint64_t first_group, double a, double b,
                 int n_threads) {
  const auto d = choice<Distribution>("distribution", distribution);
  by_dtype(out, "out", [&](auto t) {
    fill<decltype(t)>(out, d, {seed, stream}, first_group, a, b, n_threads);
  });
}

void integers(py::array out, std::uint64_t seed, std::uint64_t stream, std::uint64_t first,
              std::int64_t low, std::uint64_t range, int n_threads) {
  auto* data = write<std::int64_t>(out, "out");
  const index n = out.size();
  without_gil([&] {
    parallel_for(n, piece_step, useful_threads(n_threads, integer_flops * static_cast<double>(n)),
                 [&](index begin, index end) {
                   random_integers({seed, stream}, first + static_cast<std::uint64_t>(begin), low,
                                   range, data + begin, end - begin);
                 });
  });
}

void permutation(py::array out, std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
  auto* data = write<std::int64_t>(out, "out", {any});
  const index n = out.size();
  without_gil([&] { random_permutation({seed, stream}, data, n, first); });
}

std::array<std::uint32_t, 4> philox_block(std::array<std::uint32_t, 2> key,
                                          std::array<std::uint32_t, 4> counter) {
  const auto join = [](std::uint32_t low, std::uint32_t high) {
    return (static_cast<std::uint64_t>(high) << 32) | low;
  };
  const PhiloxBlock block =
      philox({join(key[0], key[1]), join(counter[2], counter[3])}, join(counter[0], counter[1]));
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

/// The next group of a stream, which calls on several threads move on from.
class Position {
 public:
  static constexpr std::uint64_t end = std::uint64_t{1} << 60;  // and then from 0 again

  explicit Position(std::uint64_t at) : next_(at % end) {}
  std::uint64_t value() const { return next_; }
  void set(std::uint64_t at) { next_ = at % end; }
  std::uint64_t take(std::uint64_t groups) {
    std::uint64_t at = next_;
    while (!next_.compare_exchange_weak(at, (at + groups) % end)) {
    }
    return at;
  }
  void put_back(std::uint64_t at, std::uint64_t groups) {
    std::uint64_t after = (at + groups) % end;
    next_.compare_exchange_strong(after, at);
  }

 private:
  std::atomic<std::uint64_t> next_;
};

std::uint64_t package_stream(const std::string& purpose, std::uint64_t layer, std::uint64_t step) {
  return stream_of(choice<Purpose>("purpose", purpose), layer, step);
}

}  // namespace

void bind_random(py::module_& m) {
  make_class<Position>(m, "Position", "A count of groups that no two calls take from twice.")
      .def(py::init<std::uint64_t>(), py::arg("at"))
      .def_property("value", &Position::value, &Position::set)
      .def("take", &Position::take, py::arg("groups"), "Moves on; returns where it was.")
      .def("put_back", &Position::put_back, py::arg("at"), py::arg("groups"),
           "Undoes a `take`, unless another came after it.");
  m.def("random_fill", &random_fill, py::arg("out"), py::arg("distribution"), py::arg("seed"),
        py::arg("stream"), py::arg("first_group"), py::arg("a"), py::arg("b"),
        py::arg("n_threads") = 0, "Fills a float array with draws, in place.");
  m.def("random_integers", &integers, py::arg("out"), py::arg("seed"), py::arg("stream"),
        py::arg("first"), py::arg("low"), py::arg("range"), py::arg("n_threads") = 0,
        "Fills an int64 array with low + [0, range); a range of 0 stands for 2^64.");
  m.def("random_permutation", &permutation, py::arg("out"), py::arg("seed"), py::arg("stream"),
        py::arg("first") = 0, "Fills an int64 vector with a permutation of 0 ... n - 1.");
  m.def("philox", &philox_block, py::arg("key"), py::arg("counter"),
        "One block of Philox4x32-10, words low first.");
  m.def("stream_of", &package_stream, py::arg("purpose"), py::arg("layer") = 0, py::arg("step") = 0,
        "The stream that the package draws from for a purpose.");
}

}  // namespace fanin::bind
