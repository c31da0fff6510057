#pragma once
#include <pybind11/pybind11.h>

#include <iterator>
#include <string>

#include "core/names.hpp"

namespace fanin::bind {

/// The names with commas between.
template <class Names>
std::string listed(const Names& given) {
  std::string all;
  for (const char* name : given) all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
}

/// The enum's value of that name; an unknown one fails with the list.
template <class E>
E choice(const char* argument, const std::string& name) {
  int code = 0;
  for (const char* known : names<E>) {
    if (name == known) return static_cast<E>(code);
    ++code;
  }
  throw pybind11::value_error(std::string(argument) + ": expected one of " + listed(names<E>) +
                              "; got '" + name + "'");
}

/// The enum's value of that number, its name's position in names_of().
template <class E>
E checked(const char* argument, int code) {
  constexpr int n = static_cast<int>(std::size(names<E>));
  if (code >= 0 && code < n) return static_cast<E>(code);
  throw pybind11::value_error(std::string(argument) + ": expected a code in 0 .. " +
                              std::to_string(n - 1) + " (" + listed(names<E>) + "), got " +
                              std::to_string(code));
}

template <class E>
pybind11::tuple names_of() {
  pybind11::tuple all(std::size(names<E>));
  std::size_t i = 0;
  for (const char* name : names<E>) all[i++] = name;
  return all;
}

}  // namespace fanin::bind
