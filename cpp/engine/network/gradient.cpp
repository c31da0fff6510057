#include "engine/network/gradient.hpp"

#include <algorithm>

namespace fanin {

template <class T>
Evaluation loss_gradient(Network<T>& network, const Data<T>& data, double l2, T* gradient,
                         int threads, const DropoutKey<T>* dropout, FunctionRef<void()> poll) {
  ParameterItems<T> items(network);
  RowPass<T> pass(network, items, rows_of_pass(network.graph(), data.n));
  const double flops = 6 * network.madds() * static_cast<double>(data.n);
  const double total = total_weight(data, nullptr, data.n);
  const index parts = parts_of(data.n, pass.rows());
  Evaluation e;
  parallel_team(useful_threads(threads, flops), [&](Team& team) {
    Poller poller(poll);
    auto key = dropout ? items.key_of(dropout->seed, dropout->step, 0) : items.key_of(0, 0, 0);
    const auto* masks = dropout ? &key : nullptr;
    items.prepare_all(team, masks);
    for (index part = 0; part < parts; ++part) {
      const Range rows = split(data.n, network.row_step(), part, parts);
      key.first_row = rows.begin;
      const Batch<T> b{&data,    nullptr,           rows.begin,   rows.end - rows.begin,
                       part > 0, part + 1 == parts, T(1 / total), masks};
      pass.run(team, b, poller);
      e.loss += pass.loss(b, &e.correct);
      items.share(team, [&](const ParameterItem& item, int) {
        T* g = gradient + item.offset;
        pass.gradient(item, b, g);
        if (part + 1 == parts && item.of->decays && l2 != 0) items.add_l2(item, l2, g);
      });
    }
  });
  e.loss /= total;
  if (l2 > 0) e.loss += 0.5 * l2 * items.decaying_squares();
  return e;
}

template <class T>
void trace(Network<T>& network, const Data<T>& data, T* const* outputs, T* const* gradients,
           int threads, FunctionRef<void()> poll) {
  const Graph& graph = network.graph();
  ParameterItems<T> items(network);
  RowPass<T> pass(network, items, data.n);
  const auto copy = [&](std::size_t op, T*(Workspace<T>::Slot::* from), T* to, Range rows) {
    const auto& slot = pass.workspace().slots[graph.ops()[op].out];
    const index width = network.width(op);
    for (index i = rows.begin; i < rows.end; ++i) {
      std::copy_n(slot.*from + i * slot.stride, width, to + i * width);
    }
  };
  const double flops = 6 * network.madds() * static_cast<double>(data.n);
  parallel_team(useful_threads(threads, flops), [&](Team& team) {
    Poller poller(poll);
    items.prepare_all(team, nullptr);
    Data<T> inputs = data;
    inputs.labels = nullptr;
    inputs.soft = nullptr;
    Batch<T> b{&inputs, nullptr, 0, data.n, false, true, T(1), nullptr};
    pass.run_observed(team, b, poller, [](std::size_t, Range) {});
    for (std::size_t layer = 0; layer < graph.layers().size(); ++layer) {
      copy(graph.ends()[layer], &Workspace<T>::Slot::y, outputs[layer], {0, data.n});
    }
    if (!gradients) return;
    b.data = &data;  // the gradient of the scores will take their place
    pass.run_observed(team, b, poller, [&](std::size_t op, Range rows) {
      const std::size_t layer = graph.ops()[op].layer;
      if (graph.ends()[layer] == op) copy(op, &Workspace<T>::Slot::d, gradients[layer], rows);
    });
  });
}

template Evaluation loss_gradient(Network<float>&, const Data<float>&, double, float*, int,
                                  const DropoutKey<float>*, FunctionRef<void()>);
template Evaluation loss_gradient(Network<double>&, const Data<double>&, double, double*, int,
                                  const DropoutKey<double>*, FunctionRef<void()>);
template void trace(Network<float>&, const Data<float>&, float* const*, float* const*, int,
                    FunctionRef<void()>);
template void trace(Network<double>&, const Data<double>&, double* const*, double* const*, int,
                    FunctionRef<void()>);

}  // namespace fanin
