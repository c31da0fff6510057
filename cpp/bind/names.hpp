#pragma once
#include <pybind11/pybind11.h>

#include <string>

namespace fanin::bind {

/// The position of `name` in `known`; an unknown one fails with the list.
template <std::size_t N>
int choice(const char* argument, const std::string& name, const char* const (&known)[N]) {
  std::string names;
  for (std::size_t i = 0; i < N; ++i) {
    if (name == known[i]) return static_cast<int>(i);
    names += (i ? ", " : "") + std::string(known[i]);
  }
  throw pybind11::value_error(std::string(argument) + ": expected one of " + names + "; got '" +
                              name + "'");
}

}  // namespace fanin::bind
