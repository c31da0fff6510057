#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>

#include "bind/gil.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace py = pybind11;

namespace {

py::handle teller;  // a Python function, never released: the interpreter may have ended by then

/// Once in a process.
void tell_of_fewer_threads(int asked, int had) {
  static std::atomic<bool> told{false};
  if (told.exchange(true)) return;
  const WithGil gil;
  PyObject* done = PyObject_CallFunction(teller.ptr(), "ii", asked, had);
  if (!done) throw Interrupted{};
  Py_DECREF(done);
}

void tell_with(const py::function& f) {
  teller = f.inc_ref();
  on_fewer_threads(&tell_of_fewer_threads);
}

}  // namespace

void bind_config(py::module_& m) {
  guard_fork();
  table();  // an unsupported FANIN_ISA fails here, at import
  m.attr("__version__") = FANIN_VERSION;
  m.def("isa", [] { return table().name; }, "The instruction set in use.");
  m.def("supported_isas", &supported_isas, "Instruction sets that this machine runs, best first.");
  m.def("tiles", &tiles, py::arg("ask") = false,
        "Whether products of bf16 use tiles (AMX): 'in use', 'not asked for yet' or 'none: ' and "
        "the reason. ask: asks the system for them, as the first such product does.");
  m.def("get_num_threads", &get_num_threads, "Threads used where a call does not say.");
  m.def("set_num_threads", &set_num_threads, py::arg("n"), "Sets that number.");
  m.def("on_fewer_threads", &tell_with, py::arg("tell"),
        "Has tell(asked, had) called the first time that the system gives fewer threads than were "
        "asked for; its exception ends the call.");
  m.def(
      "cpu_limits",
      [] {
        return py::dict(py::arg("affinity") = available_cpus(), py::arg("quota") = cpu_quota());
      },
      "CPUs that the process may use, and those of the control group's quota (0: none).");
#if defined(_OPENMP)
  m.attr("openmp") = true;
#else
  m.attr("openmp") = false;
#endif
}

}  // namespace fanin::bind
