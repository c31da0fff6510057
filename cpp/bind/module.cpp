#include <pybind11/pybind11.h>

#include "bind/classes.hpp"

namespace fanin::bind {

void bind_augmentation(pybind11::module_&);
void bind_batch_augmentation(pybind11::module_&);
void bind_config(pybind11::module_&);
void bind_covariance(pybind11::module_&);
void bind_dense(pybind11::module_&);
void bind_drop_connect(pybind11::module_&);
void bind_activation(pybind11::module_&);
void bind_loss(pybind11::module_&);
void bind_many(pybind11::module_&);
void bind_mixing(pybind11::module_&);
void bind_norm(pybind11::module_&);
void bind_optimizer(pybind11::module_&);
void bind_prelu(pybind11::module_&);
void bind_random(pybind11::module_&);
void bind_random_dense(pybind11::module_&);
void bind_statistics(pybind11::module_&);
void bind_summary(pybind11::module_&);
void bind_network(pybind11::module_&);

}  // namespace fanin::bind

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace fanin::bind;
  guard_base_class();
  bind_augmentation(m);
  bind_batch_augmentation(m);
  bind_config(m);
  bind_covariance(m);
  bind_dense(m);
  bind_drop_connect(m);
  bind_activation(m);
  bind_loss(m);
  bind_mixing(m);
  bind_norm(m);
  bind_optimizer(m);
  bind_prelu(m);
  bind_random(m);
  bind_random_dense(m);
  bind_statistics(m);
  bind_summary(m);
  bind_network(m);
  bind_many(m);
}
