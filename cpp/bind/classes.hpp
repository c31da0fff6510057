#pragma once
// Classes of which no instance is without its value. pybind11's own make one by `__new__`, whose
// methods then read memory that was never written, and abort the process where `copyreg` (pickling
// by protocol 0 or 1) calls their common base.
#include <pybind11/pybind11.h>

namespace fanin::bind {

inline PyObject* new_instance(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  return pybind11::detail::pybind11_object_new(type, arguments, keywords);
}

inline PyObject* new_of_base(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  if (!pybind11::detail::all_type_info(type).empty())
    return new_instance(type, arguments, keywords);
  PyErr_Format(PyExc_TypeError, "cannot create '%s' instances", type->tp_name);
  return nullptr;
}

inline PyObject* refuse_new(PyObject* type, PyObject*, PyObject*) {
  const char* name = reinterpret_cast<PyTypeObject*>(type)->tp_name;
  PyErr_Format(PyExc_TypeError, "%s.__new__: expected a call of the class instead", name);
  return nullptr;
}

/// As py::class_, final. Its slot for `__new__` is its own, so that Python refuses those of its
/// bases, and the method refuses: only a call of the class makes an instance.
template <class T, class... Options, class... Extra>
pybind11::class_<T, Options...> make_class(pybind11::module_& m, const char* name,
                                           const Extra&... extra) {
  const auto own_new = [](PyHeapTypeObject* type) { type->ht_type.tp_new = &new_instance; };
  pybind11::class_<T, Options...> made(m, name, pybind11::is_final(),
                                       pybind11::custom_type_setup(own_new), extra...);
  static PyMethodDef method{
      "__new__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&refuse_new)),
      METH_VARARGS | METH_KEYWORDS, nullptr};
  auto* type = reinterpret_cast<PyTypeObject*>(made.ptr());
  const auto refusing =
      pybind11::reinterpret_steal<pybind11::object>(PyCFunction_New(&method, made.ptr()));
  // Not by setattr, which would put the method into the slot.
  if (!refusing || PyDict_SetItemString(type->tp_dict, "__new__", refusing.ptr()) != 0) {
    throw pybind11::error_already_set();
  }
  PyType_Modified(type);
  return made;
}

/// The base of all classes of pybind11 refuses by a TypeError what it would abort at.
inline void guard_base_class() {
  auto* base = reinterpret_cast<PyTypeObject*>(pybind11::detail::get_internals().instance_base);
  base->tp_new = &new_of_base;
  PyType_Modified(base);
}

}  // namespace fanin::bind
