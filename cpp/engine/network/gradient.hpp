#pragma once
#include "engine/network/row_pass.hpp"

namespace fanin {

/// The loss over all of data and its gradient in the arena `gradient`; no step is taken. Masks
/// where a key is given. Batch norms take the statistics of all rows.
template <class T>
Evaluation loss_gradient(Network<T>& network, const Data<T>& data, double l2, T* gradient,
                         int threads, const DropoutKey<T>* dropout, FunctionRef<void()> poll);

/// The outputs of each layer, (n, width), and, where they are not null, the gradients of each row's
/// loss over them. No masks; batch norms take the statistics of all rows.
template <class T>
void trace(Network<T>& network, const Data<T>& data, T* const* outputs, T* const* gradients,
           int threads, FunctionRef<void()> poll);

}  // namespace fanin
