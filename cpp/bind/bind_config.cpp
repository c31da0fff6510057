#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace py = pybind11;

void bind_config(py::module_& m) {
  guard_fork();
  table();  // an unsupported FANIN_ISA fails here, at import
  m.attr("__version__") = FANIN_VERSION;
  m.def("isa", [] { return table().name; }, "The instruction set in use.");
  m.def("supported_isas", &supported_isas, "Instruction sets that this machine runs, best first.");
  m.def("get_num_threads", &get_num_threads, "Threads used where a call does not say.");
  m.def("set_num_threads", &set_num_threads, py::arg("n"), "Sets that number.");
  m.def(
      "cpu_limits",
      [] {
        return py::dict(py::arg("affinity") = cpu_affinity_count(), py::arg("quota") = cpu_quota());
      },
      "CPUs of the affinity mask, and of the control group's quota (0: none).");
#if defined(_OPENMP)
  m.attr("openmp") = true;
#else
  m.attr("openmp") = false;
#endif
}

}  // namespace fanin::bind
