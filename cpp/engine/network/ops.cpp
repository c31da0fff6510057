#include "engine/network/ops.hpp"

#include <algorithm>

#include "core/aligned.hpp"
#include "engine/statistics/batch_moments.hpp"

namespace fanin {

template <class T>
Epilogue<T> Ops<T>::epilogue(std::size_t o) const {
  const Op& p = op(o);
  Epilogue<T> e{};
  e.activation = p.activation;
  e.slope = work_.ops[o].slope;
  e.dropout.scale = net_.output_scale(p, dropout_ != nullptr);
  if (dropout_ && p.keep < 1) {
    e.dropout.seed = dropout_->seed;
    e.dropout.stream = stream_of(Purpose::dropout, p.layer, dropout_->step);
    e.dropout.first_row = dropout_->first_row;
    e.dropout.threshold = keep_threshold(p.keep);
  }
  return e;
}

/// How a gradient over an op's output becomes one over what its activation took.
template <class T>
Derivative<T> Ops<T>::derivative(std::size_t o) const {
  Derivative<T> d{};
  d.slope = work_.ops[o].slope;
  if (op(o).activation == Activation::relu) d.gate = work_.slots[op(o).out].y;
  d.factor = net_.output_scale(op(o), dropout_ != nullptr);
  return d;
}

template <class T>
void Ops<T>::forward(std::size_t o, Range rows, Range cols) const {
  const Op& p = op(o);
  const auto& own = work_.ops[o];
  const T* x = work_.slots[p.in].y;
  const auto& out = work_.slots[p.out];
  const index width = net_.width(o);
  const auto parameter = [&](std::size_t i) { return net_.parameter(p, i); };
  switch (p.kind) {
    case OpKind::dense:
      return dense_forward(o, rows, cols);
    case OpKind::layer_norm:
      return kernels<T>().layer_norm_forward({x, parameter(0), parameter(1), out.y, own.mean,
                                              own.inverse, width, out.stride, epilogue(o)},
                                             rows);
    case OpKind::batch_norm:
      return kernels<T>().batch_norm_forward({x, parameter(0), parameter(1), own.mean, own.inverse,
                                              out.y, width, out.stride, epilogue(o)},
                                             rows);
    case OpKind::prelu:
      return kernels<T>().prelu_forward({x, parameter(0), out.y, width, out.stride, epilogue(o)},
                                        rows);
    case OpKind::add:
      return kernels<T>().add({x, work_.slots[p.in2].y, out.y, width, out.stride}, rows);
  }
}

template <class T>
void Ops<T>::backward(const Instruction& i, const T* wt, Range rows, Range cols) const {
  const Op& p = op(i.op);
  const auto& own = work_.ops[i.op];
  const auto &out = work_.slots[p.out], &in = work_.slots[p.in];
  const index width = net_.width(i.op);
  switch (p.kind) {
    case OpKind::dense:
      return dense_backward(i, wt, rows, cols);
    case OpKind::layer_norm:
      return kernels<T>().layer_norm_backward(
          {out.d, in.y, net_.parameter(p, 0), own.mean, own.inverse, in.d, width, in.stride}, rows);
    case OpKind::batch_norm:
      return kernels<T>().batch_norm_backward(
          {out.d, in.y, net_.parameter(p, 0), own.mean, own.inverse, own.mean_dy, own.mean_dy_h,
           in.d, width, in.stride},
          rows);
    case OpKind::prelu:
      return kernels<T>().prelu_backward(
          {out.d, in.y, net_.parameter(p, 0), in.d, width, in.stride}, rows);
    case OpKind::add: {
      const std::size_t producer = net_.graph().slots()[p.in].producer;
      const Derivative<T> d = i.derives ? derivative(producer) : Derivative<T>{};
      return kernels<T>().activation_backward({out.d, in.d, d, width, in.stride}, rows);
    }
  }
}

template <class T>
void Ops<T>::gradient(const Parameter& p, Range range, index rows, bool accumulate,
                      T* gradient) const {
  const Op& o = op(p.op);
  const auto& own = work_.ops[p.op];
  const auto &in = work_.slots[o.in], &out = work_.slots[o.out];
  const bool batch = o.kind == OpKind::batch_norm;  // whose sums are known already
  switch (p.role) {
    case Role::weights:
      return weight_gradient(p, range, rows, accumulate, gradient);
    case Role::gamma:
      if (batch) return void(std::copy_n(own.sum_dy_h, p.cols, gradient));
      return kernels<T>().norm_gradient(
          {out.d, in.y, own.mean, own.inverse, false, gradient, rows, out.stride, accumulate},
          {0, p.cols});
    case Role::slopes:
      return kernels<T>().prelu_gradient({out.d, in.y, gradient, rows, out.stride, accumulate},
                                         {0, p.cols});
    case Role::bias:
    case Role::beta:
      if (batch) return void(std::copy_n(own.sum_dy, p.cols, gradient));
      return kernels<T>().bias_gradient({out.d, gradient, rows, p.cols, out.stride, accumulate},
                                        {0, p.cols});
    case Role::running_mean:
    case Role::running_variance:
      return;  // not trained
  }
}

template <class T>
void Ops<T>::derive(std::size_t o, Range rows) const {
  const auto& out = work_.slots[op(o).out];
  kernels<T>().activation_backward({out.d, out.d, derivative(o), net_.width(o), out.stride}, rows);
}

template <class T>
DenseForward<T> Ops<T>::product(const Op& p) const {
  DenseForward<T> d{};
  d.x = work_.slots[p.in].y;
  d.x_stride = work_.slots[p.in].stride;
  d.w = net_.parameter(p, 0);
  d.b = p.has_bias ? net_.parameter(p, 1) : nullptr;
  d.y = work_.slots[p.out].y;
  d.y_stride = work_.slots[p.out].stride;
  d.in = net_.graph().slots()[p.in].width;
  d.out = net_.graph().slots()[p.out].width;
  return d;
}

template <class T>
void Ops<T>::dense_forward(std::size_t o, Range rows, Range cols) const {
  const Op& p = op(o);
  DenseForward<T> d = product(p);
  d.epilogue = epilogue(o);
  if (net_.bf16()) {
    const Bf16Product<T> product{work_.ops[o].x,
                                 bf16_stride(d.in),
                                 weights_->plain(o),
                                 bf16_panel(d.in),
                                 d.y,
                                 d.y_stride,
                                 d.in,
                                 d.out,
                                 d.b};
    return bf16_kernels<T>().forward(product, d.epilogue, rows, cols);
  }
  if (dropout_ && net_.has_row_masks(p)) {
    const RowMasks<T> masks{net_.weight_mask(p, *dropout_, dropout_->first_row), d.in};
    return kernels<T>().drop_connect_forward(d, masks, rows, cols);
  }
  if (dropout_ && net_.shares_weight_mask(p)) d.w = dropout_->masked + net_.offset(p, 0);
  kernels<T>().dense_forward(d, rows, cols, thread_scratch<T>(product_scratch<T>));
}

template <class T>
void Ops<T>::forward_all(std::size_t o, Range rows) const {
  if (net_.bf16() && op(o).kind == OpKind::dense) pack_input(o, rows);
  forward(o, rows, {0, net_.width(o)});
}

template <class T>
void Ops<T>::pack_input(std::size_t o, Range rows) const {
  const auto& own = work_.ops[o];
  const auto& in = work_.slots[op(o).in];
  const index width = net_.graph().slots()[op(o).in].width;
  Bf16Pack<T> pack{in.y, width, in.stride};
  pack.left = own.x;
  pack.left_stride = bf16_stride(width);
  pack.left_t = own.x_t;
  pack.left_t_stride = bf16_stride(work_.rows);
  bf16_kernels<T>().pack(pack, rows);
}

template <class T>
void Ops<T>::pack_gradient(std::size_t o, Range rows) const {
  const auto& own = work_.ops[o];
  const auto& out = work_.slots[op(o).out];
  Bf16Pack<T> pack{out.d, net_.width(o), out.stride};
  pack.left = own.dz;
  pack.left_stride = bf16_stride(net_.width(o));
  pack.right = own.dz_right;
  pack.right_panel = bf16_panel(work_.rows);
  bf16_kernels<T>().pack(pack, rows);
}

template <class T>
void Ops<T>::finish(std::size_t o, Range rows) const {
  const auto& out = work_.slots[op(o).out];
  kernels<T>().activation_forward({out.y, out.y, epilogue(o), net_.width(o), out.stride}, rows);
}

template <class T>
void Ops<T>::dense_backward(const Instruction& i, const T* wt, Range rows, Range cols) const {
  const Op& p = op(i.op);
  const auto &upper = work_.slots[p.out], &lower = work_.slots[p.in];
  DenseBackwardInput<T> d{};
  d.dz = upper.d;
  d.wt = wt;
  d.dx = lower.d;
  d.in = net_.graph().slots()[p.in].width;
  d.out = net_.graph().slots()[p.out].width;
  d.dz_stride = upper.stride;
  d.dx_stride = lower.stride;
  d.accumulate = i.accumulates;
  if (i.derives) d.derivative = derivative(net_.graph().slots()[p.in].producer);
  if (net_.bf16()) {
    const Bf16Product<T> product{work_.ops[i.op].dz,
                                 bf16_stride(d.out),
                                 weights_->transposed(i.op),
                                 bf16_panel(d.out),
                                 d.dx,
                                 d.dx_stride,
                                 d.out,
                                 d.in,
                                 nullptr,
                                 d.accumulate};
    return bf16_kernels<T>().backward_input(product, d.derivative, rows, cols);
  }
  const bool masked = dropout_ && net_.shares_weight_mask(p);
  d.w = masked ? dropout_->masked + net_.offset(p, 0) : net_.parameter(p, 0);
  if (dropout_ && net_.has_row_masks(p)) {
    const RowMasks<T> masks{net_.weight_mask(p, *dropout_, dropout_->first_row), d.in};
    return kernels<T>().drop_connect_backward_input(d, masks, rows, cols);
  }
  kernels<T>().dense_backward_input(d, rows, cols, thread_scratch<T>(product_scratch<T>));
}

template <class T>
void Ops<T>::weight_gradient(const Parameter& weights, Range in, index rows, bool accumulate,
                             T* gradient) const {
  const Op& p = op(weights.op);
  const auto &lower = work_.slots[p.in], &upper = work_.slots[p.out];
  const index out = net_.graph().slots()[p.out].width;
  if (net_.bf16()) {
    const auto& own = work_.ops[weights.op];
    const Bf16Product<T> product{own.x_t,      bf16_stride(work_.rows),
                                 own.dz_right, bf16_panel(work_.rows),
                                 gradient,     out,
                                 rows,         out,
                                 nullptr,      accumulate};
    return bf16_kernels<T>().weight_gradient(product, in);
  }
  const WeightGradient<T> w{lower.y, upper.d, rows, out, lower.stride, upper.stride, accumulate};
  if (dropout_ && net_.has_row_masks(p)) {
    const Dropout<T> draws = net_.weight_mask(p, *dropout_, dropout_->first_row);
    const RowMasks<T> masks{draws, net_.graph().slots()[p.in].width};
    return kernels<T>().drop_connect_weight_gradient(w, masks, in, gradient);
  }
  kernels<T>().weight_gradient(w, in, gradient, thread_scratch<T>(product_scratch<T>));
}

template <class T>
void Ops<T>::reduce(const Stage& stage, index rows, Range cols) const {
  const Op& p = op(stage.op);
  const auto &in = work_.slots[p.in], &out = work_.slots[p.out];
  const auto& own = work_.ops[stage.op];
  if (stage.reduction == Reduction::statistics) {
    batch_moments(in.y, rows, in.stride, cols, own.mean, own.variance);
    for (index j = cols.begin; j < cols.end; ++j) {
      own.inverse[j] = inverse_deviation(own.variance[j]);
    }
    return;
  }
  batch_gradients(out.d, in.y, own.mean, own.inverse, rows, in.stride, cols, own.sum_dy,
                  own.sum_dy_h);
  for (index j = cols.begin; j < cols.end; ++j) {
    own.mean_dy[j] = own.sum_dy[j] / T(rows);
    own.mean_dy_h[j] = own.sum_dy_h[j] / T(rows);
  }
}

template class Ops<float>;
template class Ops<double>;

}  // namespace fanin
