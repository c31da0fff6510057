// Runs the kernels of one instruction set on fixed inputs and prints a hash of what each wrote:
// the prints of all compilers, processors and instruction sets must be the same. With a second
// argument, "few": one case a kernel, at a usual shape, for counting instructions.
#include "run_kernels.hpp"

#include <algorithm>
#include <iterator>

#include "core/cpu.hpp"
#include "core/fpenv.hpp"
#include "isa/table.hpp"
#include "run_geometry.hpp"
#include "run_pixels.hpp"
#include "simd/math_function.hpp"

namespace fanin::test {

namespace {

struct Shape {
  index rows, in, out;

  std::string text() const {
    return std::to_string(rows) + "x" + std::to_string(in) + "x" + std::to_string(out);
  }
};

template <class T>
Dropout<T> half() {
  return {7, 9, 3, keep_threshold(0.5), T(2)};
}

template <class T>
void dense(const Kernels<T>& k, Shape s) {
  const auto x = numbers<T>(s.rows * s.in, -1, 1, 1), w = numbers<T>(s.in * s.out, -1, 1, 2);
  const auto wt = numbers<T>(s.out * s.in, -1, 1, 3), b = numbers<T>(s.out, -1, 1, 4);
  const auto dz = numbers<T>(s.rows * s.out, -1, 1, 5);
  const auto slope = numbers<T>(s.rows * s.in, -1, 1, 6);
  Aligned<T> y(s.rows * s.out), dx(s.rows * s.in), dw(s.in * s.out), db(s.out);
  Aligned<T> room(product_scratch<T>);

  DenseForward<T> forward{};
  forward.x = x.data();
  forward.w = w.data();
  forward.b = b.data();
  forward.y = y.data();
  forward.in = forward.x_stride = s.in;
  forward.out = forward.y_stride = s.out;
  forward.epilogue.activation = Activation::relu;
  const auto go_forward = [&] { k.dense_forward(forward, {0, s.rows}, {0, s.out}, room.data()); };
  run<T>("dense_forward " + s.text(), go_forward, written(y));

  DenseBackwardInput<T> backward{};
  backward.dz = dz.data();
  backward.wt = wt.data();
  backward.dx = dx.data();
  backward.in = backward.dx_stride = s.in;
  backward.out = backward.dz_stride = s.out;
  backward.derivative.slope = slope.data();
  const auto go_backward = [&] {
    k.dense_backward_input(backward, {0, s.rows}, {0, s.in}, room.data());
  };
  run<T>("dense_backward_input " + s.text(), go_backward, written(dx));

  WeightGradient<T> weights{};
  weights.x = x.data();
  weights.dz = dz.data();
  weights.rows = s.rows;
  weights.out = weights.dz_stride = s.out;
  weights.x_stride = s.in;
  for (const bool accumulate : {false, true}) {
    weights.accumulate = accumulate;
    const auto go = [&] { k.weight_gradient(weights, {0, s.in}, dw.data(), room.data()); };
    run<T>((accumulate ? "weight_gradient+= " : "weight_gradient ") + s.text(), go, written(dw));
  }

  const BiasGradient<T> bias{dz.data(), db.data(), s.rows, s.out, s.out, false};
  const auto go_bias = [&] { k.bias_gradient(bias, {0, s.out}); };
  run<T>("bias_gradient " + s.text(), go_bias, written(db));
}

/// Operands packed in all forms and multiplied; the borders of subnormal numbers among them.
void bf16(const Bf16Kernels<float>& k, Shape s, double scale, const std::string& kind = "") {
  const FlushDenormals flush;
  const auto x = numbers<float>(s.rows * s.in, -scale, scale, 1);
  const auto w = numbers<float>(s.in * s.out, -scale, scale, 2),
             b = numbers<float>(s.out, -1, 1, 4);
  const auto dz = numbers<float>(s.rows * s.out, -scale, scale, 5);
  Aligned<float> xl(bf16_left_size(s.rows, s.in)), xt(bf16_left_size(s.in, s.rows));
  Aligned<float> dzl(bf16_left_size(s.rows, s.out)), dzr(bf16_right_size(s.rows, s.out));
  Aligned<float> wr(bf16_right_size(s.in, s.out)), wt(bf16_right_size(s.out, s.in));
  Aligned<float> y(s.rows * s.out), dx(s.rows * s.in), dw(s.in * s.out), slope(s.rows * s.out);
  const std::string name = kind + s.text();
  const auto go = [&](const char* what, auto work, auto... out) {
    run<float>(std::string(what) + " " + name, work, out...);
  };

  Bf16Pack<float> rows{x.data(), s.in, s.in}, gradients{dz.data(), s.out, s.out};
  Bf16Pack<float> weights{w.data(), s.out, s.out};
  rows.left = xl.data();
  rows.left_stride = bf16_stride(s.in);
  rows.left_t = xt.data();
  rows.left_t_stride = bf16_stride(s.rows);
  gradients.left = dzl.data();
  gradients.left_stride = bf16_stride(s.out);
  gradients.right = dzr.data();
  gradients.right_panel = bf16_panel(s.rows);
  weights.right = wr.data();
  weights.right_panel = bf16_panel(s.in);
  weights.right_t = wt.data();
  weights.right_t_panel = bf16_panel(s.out);
  k.pack(gradients, {0, s.rows});
  k.pack(weights, {0, s.in});

  Bf16Product<float> p{
      xl.data(), rows.left_stride, wr.data(), weights.right_panel, y.data(), s.out, s.in,
      s.out,     b.data()};
  const Epilogue<float> epilogue{Activation::tanh, half<float>(), slope.data()};
  const auto forward = [&] {
    k.pack(rows, {0, s.rows});
    k.forward(p, kind.empty() ? epilogue : Epilogue<float>{}, {0, s.rows}, {0, s.out});
  };
  go("bf16 pack, forward", forward, written(y), written(slope));
  p = {dzl.data(), gradients.left_stride, wt.data(), weights.right_t_panel, dx.data(), s.in, s.out,
       s.in};
  const Derivative<float> gate{nullptr, x.data(), 2.0f};
  go(
      "bf16 backward_input", [&] { k.backward_input(p, gate, {0, s.rows}, {0, s.in}); },
      written(dx));
  p = {xt.data(), rows.left_t_stride, dzr.data(), gradients.right_panel, dw.data(), s.out, s.rows,
       s.out};
  for (const bool accumulate : {false, true}) {
    p.accumulate = accumulate;
    go(
        accumulate ? "bf16 weight_gradient+=" : "bf16 weight_gradient",
        [&] { k.weight_gradient(p, {0, s.in}); }, written(dw));
  }
}

/// Masks for each row; some inputs are zero and some gates shut, which need no draws.
template <class T>
void drop_connect(const Kernels<T>& k, Shape s) {
  auto x = numbers<T>(s.rows * s.in, -1, 1, 1);
  for (index i = 0; i < s.rows * s.in; i += 3) x.data()[i] = T(0);
  const auto w = numbers<T>(s.in * s.out, -1, 1, 2), b = numbers<T>(s.out, -1, 1, 3);
  const auto dz = numbers<T>(s.rows * s.out, -1, 1, 4);
  Aligned<T> y(s.rows * s.out), slope(s.rows * s.out), dx(s.rows * s.in), dw(s.in * s.out);
  const RowMasks<T> masks{half<T>(), s.in};

  DenseForward<T> forward{x.data(), w.data(), b.data(), y.data(), s.in, s.out, s.in, s.out, {}};
  forward.epilogue = {Activation::tanh, half<T>(), slope.data()};
  const auto go_forward = [&] { k.drop_connect_forward(forward, masks, {0, s.rows}, {0, s.out}); };
  run<T>("drop_connect_forward " + s.text(), go_forward, written(y), written(slope));

  DenseBackwardInput<T> backward{dz.data(), nullptr, dx.data(), s.in,    s.out,
                                 s.out,     s.in,    {},        w.data()};
  for (const bool gate : {false, true}) {
    backward.derivative = {gate ? nullptr : x.data(), gate ? x.data() : nullptr, T(2)};
    const auto go = [&] { k.drop_connect_backward_input(backward, masks, {0, s.rows}, {0, s.in}); };
    run<T>("drop_connect_backward_input " + s.text() + (gate ? " gate" : " slope"), go,
           written(dx));
  }

  WeightGradient<T> weights{x.data(), dz.data(), s.rows, s.out, s.in, s.out, false};
  for (const bool accumulate : {false, true}) {
    weights.accumulate = accumulate;
    const auto go = [&] { k.drop_connect_weight_gradient(weights, masks, {0, s.in}, dw.data()); };
    run<T>("drop_connect_weight_gradient" + std::string(accumulate ? "+= " : " ") + s.text(), go,
           written(dw));
  }
}

template <class T>
void gaussian(const Kernels<T>& k, Shape s) {
  const index n = s.rows * s.out;
  const auto mean = numbers<T>(n, -5, 5, 1), variance = numbers<T>(n, 0, 4, 2);
  Aligned<T> y(n);
  for (std::size_t a = 0; a < std::size(names<Activation>); ++a) {
    const GaussianActivation<T> args{mean.data(), variance.data(), y.data(), Activation(a),
                                     T(0.25),     T(0.5),          s.out,    s.out};
    const auto go = [&] { k.gaussian_activation(args, {0, s.rows}); };
    run<T>(std::string("gaussian_activation ") + names<Activation>[a] + " " + s.text(), go,
           written(y));
  }
}

/// With dropout and slope: all that an epilogue can do.
template <class T>
void activation(const Kernels<T>& k, Shape s) {
  const index n = s.rows * s.out;
  const auto z = numbers<T>(n, -12, 12, 1), gate = numbers<T>(n, -1, 1, 2);
  Aligned<T> y(n), slope(n);
  for (std::size_t a = 0; a < std::size(names<Activation>); ++a) {
    ActivationForward<T> args{z.data(), y.data(), {}, s.out, s.out};
    args.epilogue.activation = Activation(a);
    const std::string name = std::string(" ") + names<Activation>[a] + " " + s.text();
    const auto go = [&] { k.activation_forward(args, {0, s.rows}); };
    run<T>("activation" + name, go, written(y));
    args.epilogue.dropout = half<T>();
    args.epilogue.slope = slope.data();
    run<T>("activation, dropout, slope" + name, go, written(y), written(slope));
  }
  ActivationBackward<T> back{z.data(), y.data(), {}, s.out, s.out};
  back.derivative.gate = gate.data();
  back.derivative.factor = T(2);
  const auto go = [&] { k.activation_backward(back, {0, s.rows}); };
  run<T>("activation_backward " + s.text(), go, written(y));
}

/// Norms with an epilogue, over rows longer than what is normalised.
template <class T>
void norm(const Kernels<T>& k, Shape s) {
  const index cols = s.out, stride = cols + 3, n = s.rows * stride;
  const auto x = numbers<T>(n, -3, 5, 1), dy = numbers<T>(n, -1, 1, 2);
  const auto gamma = numbers<T>(cols, -2, 2, 3), beta = numbers<T>(cols, -1, 1, 4);
  const auto centre = numbers<T>(cols, -1, 1, 5), factor = numbers<T>(cols, 0.5, 2, 6);
  Aligned<T> y(n), slope(n), dx(n), mean(s.rows), inverse(s.rows), sums(cols);
  const Epilogue<T> epilogue{Activation::tanh, half<T>(), slope.data()};
  const auto go = [&](const char* name, auto kernel, const auto& args, index count, auto... out) {
    run<T>(std::string(name) + " " + s.text(), [&] { kernel(args, {0, count}); }, out...);
  };
  const LayerNormForward<T> layer{x.data(),       gamma.data(), beta.data(), y.data(), mean.data(),
                                  inverse.data(), cols,         stride,      epilogue};
  go("layer_norm_forward", k.layer_norm_forward, layer, s.rows, written(y), written(slope),
     written(mean), written(inverse));
  const LayerNormBackward<T> layer_back{dy.data(),      x.data(),  gamma.data(), mean.data(),
                                        inverse.data(), dx.data(), cols,         stride};
  go("layer_norm_backward", k.layer_norm_backward, layer_back, s.rows, written(dx));
  const BatchNormForward<T> batch{x.data(), gamma.data(), beta.data(), centre.data(), factor.data(),
                                  y.data(), cols,         stride,      epilogue};
  go("batch_norm_forward", k.batch_norm_forward, batch, s.rows, written(y), written(slope));
  const BatchNormBackward<T> batch_back{dy.data(),     x.data(),    gamma.data(), centre.data(),
                                        factor.data(), beta.data(), gamma.data(), dx.data(),
                                        cols,          stride};
  go("batch_norm_backward", k.batch_norm_backward, batch_back, s.rows, written(dx));
  const NormGradient<T> by_row{dy.data(),   x.data(), mean.data(), inverse.data(), false,
                               sums.data(), s.rows,   stride,      false};
  go("norm_gradient", k.norm_gradient, by_row, cols, written(sums));
  const NormGradient<T> by_column{dy.data(),   x.data(), centre.data(), factor.data(), true,
                                  sums.data(), s.rows,   stride,        true};
  go("norm_gradient+= by column", k.norm_gradient, by_column, cols, written(sums));
  const SquaredDeviations<T> squares{x.data(), centre.data(), sums.data(), s.rows, stride};
  go("squared_deviations", k.squared_deviations, squares, cols, written(sums));
  const PreluForward<T> prelu{x.data(), gamma.data(), y.data(), cols, stride, epilogue};
  go("prelu_forward", k.prelu_forward, prelu, s.rows, written(y), written(slope));
  const PreluBackward<T> prelu_back{dy.data(), x.data(), gamma.data(), dx.data(), cols, stride};
  go("prelu_backward", k.prelu_backward, prelu_back, s.rows, written(dx));
  const PreluGradient<T> prelu_slopes{dy.data(), x.data(), sums.data(), s.rows, stride, false};
  go("prelu_gradient", k.prelu_gradient, prelu_slopes, cols, written(sums));
  const Add<T> sum{x.data(), dy.data(), y.data(), cols, stride};
  go("add", k.add, sum, s.rows, written(y));
}

template <class T>
void math(const Kernels<T>& k, index n) {
  constexpr int functions = static_cast<int>(std::size(names<MathFunction>));
  for (int f = 0; f < functions; ++f) {
    const bool log = f == static_cast<int>(MathFunction::log);
    const auto x = log ? numbers<T>(n, 1e-3, 1e3, 1) : numbers<T>(n, -30, 30, 1);
    Aligned<T> y(n);
    const auto go = [&] { k.map(f, x.data(), y.data(), n); };
    run<T>("map " + std::string(names<MathFunction>[f]) + " " + std::to_string(n), go, written(y));
  }
}

template <class T, class S>
void gather(const Kernels<T>& k, Shape s, DType dtype, const char* name) {
  const auto data = numbers<S>(2 * s.rows * s.in, 0, 250, 1);
  const auto mean = numbers<double>(s.in, 90, 130, 2), scale = numbers<double>(s.in, 0.01, 1, 3);
  std::vector<std::int64_t> order;
  for (index i = 0; i < s.rows; ++i) order.push_back(i * 7 % (2 * s.rows));
  Aligned<T> out(s.rows * s.in);
  GatherRows<T> args{};
  args.data = data.data();
  args.dtype = dtype;
  args.indices = order.data();
  args.mean = mean.data();
  args.scale = scale.data();
  args.out = out.data();
  args.cols = args.out_stride = s.in;
  for (const bool per_column : {false, true}) {
    args.per_column = per_column;
    const auto go = [&] { k.gather_rows(args, {0, s.rows}); };
    const std::string how = per_column ? " by column " : " ";
    run<T>(std::string("gather_rows ") + name + how + s.text(), go, written(out));
  }
}

/// A loss as it is called: targets are soft, or labels where it takes them.
template <class T>
void loss_of(const Kernels<T>& k, Shape s, const std::string& name, LossRows<T> args,
             bool with_soft) {
  const index n = s.rows * s.out;
  const auto scores = numbers<T>(n, -20, 20, 1), soft = numbers<T>(n, 0, 1, 2);
  const auto weights = numbers<T>(s.rows, 0.5, 2, 3), levels = numbers<T>(s.out, 0.05, 0.95, 4);
  std::vector<std::int32_t> labels;
  for (index i = 0; i < s.rows; ++i) labels.push_back(static_cast<std::int32_t>(i * 5 % s.out));
  Aligned<T> row_loss(s.rows), dscores(n);
  Aligned<std::int32_t> predicted(s.rows);
  args.scores = scores.data();
  if (with_soft) {
    args.soft = soft.data();
    args.soft_stride = s.out;
    args.weights = weights.data();
  } else {
    args.labels = labels.data();
  }
  if (args.loss == Loss::quantile) args.levels = levels.data();
  if (args.loss == Loss::logistic) args.positive = levels.data();
  args.scale = T(0.125);
  args.row_loss = row_loss.data();
  args.dscores = dscores.data();
  args.predicted = predicted.data();
  args.classes = args.stride = s.out;
  const auto go = [&] { k.loss_rows(args, {0, s.rows}); };
  run<T>("loss_rows " + name + (with_soft ? " soft " : " ") + s.text(), go, written(row_loss),
         written(dscores), written(predicted));
}

template <class T>
void loss(const Kernels<T>& k, Shape s) {
  for (std::size_t l = 0; l < std::size(names<Loss>); ++l) {
    LossRows<T> args{};
    args.loss = static_cast<Loss>(l);
    args.mean = args.loss >= Loss::logistic;
    args.delta = T(4);
    for (const bool with_soft : {false, true}) {
      const bool of_labels = args.loss == Loss::softmax || args.loss == Loss::svm;
      if (with_soft || of_labels) loss_of(k, s, names<Loss>[l], args, with_soft);
    }
  }
  LossRows<T> adjusted{};
  adjusted.loss = Loss::softmax;
  adjusted.smoothing = T(0.125);
  adjusted.sharpness = T(0.5);
  loss_of(k, s, "softmax adjusted", adjusted, false);
  const index n = s.rows * s.out;
  const auto scores = numbers<T>(n, -20, 20, 1);
  Aligned<T> probabilities(n);
  const SoftmaxRows<T> args{scores.data(), probabilities.data(), s.out, s.out};
  const auto go = [&] { k.softmax_rows(args, {0, s.rows}); };
  run<T>("softmax_rows " + s.text(), go, written(probabilities));
}

template <class T>
void optimizer(const Kernels<T>& k, index n) {
  const auto g = numbers<T>(n, -1, 1, 2);
  for (std::size_t r = 0; r < std::size(names<Rule>); ++r) {
    auto p = numbers<T>(n, -1, 1, 1);
    Aligned<T> state[3] = {Aligned<T>(n), Aligned<T>(n), Aligned<T>(n)};
    RuleSpec spec;
    spec.rule = static_cast<Rule>(r);
    spec.weight_decay = 0.01;
    RuleClock clock;
    OptimizerStep<T> args{};
    args.p = p.data();
    args.g = g.data();
    args.l2 = T(0.001);
    args.g_scale = T(0.75);
    args.size = n;
    for (int i = 0; i < 3; ++i) args.state[i] = state[i].data();
    const std::string name =
        std::string("optimizer_step ") + names<Rule>[r] + " " + std::to_string(n);
    // The second step: the states are not zero there.
    const auto go = [&] { k.optimizer_step(args, {0, n}); };
    args.coefficients = advance<T>(spec, clock, 0.01);
    go();
    args.coefficients = advance<T>(spec, clock, 0.01);
    run<T>(name, go, written(p), written(state[0]), written(state[1]), written(state[2]));
  }
}

template <class T>
void random(const Kernels<T>& k, index n) {
  constexpr const char* names[] = {"uniform", "normal", "bernoulli"};
  Aligned<T> out(n);
  for (int d = 0; d < 3; ++d) {
    const RandomFill<T> args{static_cast<Distribution>(d), {11, 13},  5, T(0.5), T(2),
                             keep_threshold(0.3),          out.data()};
    const auto go = [&] { k.random_fill(args, {0, n}); };
    run<T>("random_fill " + std::string(names[d]) + " " + std::to_string(n), go, written(out));
  }
}

template <class T>
void random_dense(const Kernels<T>& k, Shape s) {
  constexpr const char* names[] = {"uniform", "normal"};
  const auto x = numbers<T>(s.rows * s.in, -1, 1, 1);
  Aligned<T> y(s.rows * s.out);
  for (int d = 0; d < 2; ++d) {
    const RandomFill<T> weights{static_cast<Distribution>(d), {11, 13}, 5, T(-1), T(1), 0, nullptr};
    const RandomDense<T> args{x.data(), y.data(), s.in,    s.out,
                              s.in,     s.out,    weights, Activation::tanh};
    const auto go = [&] { k.random_dense(args, {0, s.rows}, {0, s.out}); };
    run<T>("random_dense " + std::string(names[d]) + " " + s.text(), go, written(y));
  }
}

/// What preprocessing does to rows of s.in columns, of which s.out directions are kept.
template <class T>
void covariance(const Kernels<T>& k, Shape s) {
  const auto data = numbers<std::uint8_t>(s.rows * s.in, 0, 250, 1);
  const auto mean = numbers<double>(s.in, 90, 130, 2);
  const auto shift = numbers<T>(s.in, 90, 130, 2), scale = numbers<T>(s.in, 0.01, 1, 3);
  const auto directions = numbers<T>(s.in * s.out, -1, 1, 4), add = numbers<T>(s.out, -1, 1, 5);
  Aligned<double> sums(s.in), total(s.in * s.in), block(scatter_rows * scatter_cols);
  for (const bool squared : {false, true}) {
    const ColumnSums args{data.data(), DType::u8, mean.data(), sums.data(), s.rows, s.in, squared};
    const auto go = [&] { k.column_sums(args, {0, s.in}); };
    run<T>("column_sums " + s.text() + (squared ? " squared" : ""), go, written(sums));
  }
  const index panels = (s.in + block_columns - 1) / block_columns;
  const index panel_stride = s.rows * block_columns;
  Aligned<T> centred(panels * panel_stride), out(s.rows * s.out);
  Aligned<T> chains(block_columns * block_columns), scratch(project_rows * project_cols);
  const CentreRows<T> centre{data.data(),    DType::u8, shift.data(),  nullptr,      scale.data(),
                             centred.data(), s.in,      block_columns, panel_stride, block_columns};
  run<T>("centre_rows " + s.text(), [&] { k.centre_rows(centre, {0, s.rows}); }, written(centred));
  const Scatter<T> scatter{centred.data(), s.rows,        panel_stride, total.data(),
                           s.in,           chains.data(), block.data()};
  const Range whole{0, s.in < scatter_cols ? s.in : scatter_cols};
  run<T>("scatter " + s.text(), [&] { k.scatter(scatter, whole, whole); }, written(total));
  const Project<T> project{scale.data(), 0,          s.in,  directions.data(), nullptr,
                           add.data(),   out.data(), s.out, scratch.data()};
  const Range columns{0, s.out < block_columns ? s.out : block_columns};
  run<T>("project " + s.text(), [&] { k.project(project, {0, s.rows}, columns); }, written(out));
}

template <class T>
void statistics(const Kernels<T>& k, Shape s) {
  const index n = s.rows * s.in;
  auto x = numbers<T>(n, -3, 3, 1);
  Aligned<T> square(1), turned(n);
  Aligned<double> found(1);
  run<T>(
      "sum_squares " + s.text(), [&] { *square.data() = k.sum_squares(x.data(), n); },
      written(square));
  const Transpose<T> args{x.data(), turned.data(), s.rows, s.in};
  run<T>("transpose " + s.text(), [&] { k.transpose(args, {0, s.rows}); }, written(turned));
  Summary summary;
  Aligned<double> said(6);
  const auto summarize = [&] {
    k.summarize({x.data(), -1, 2}, {0, n}, summary);
    const double all[] = {summary.mean,    summary.squares, summary.lowest,
                          summary.highest, summary.zeros,   summary.outside};
    std::copy_n(all, 6, said.data());
  };
  run<T>("summarize " + s.text(), summarize, written(said));
  const auto ends = [&](const void* p, DType dtype) {
    const Extremes e = k.extremes(p, dtype, n);
    const double all[] = {e.lowest, e.highest, e.finite ? 1.0 : 0.0};
    std::copy_n(all, 3, said.data());
  };
  constexpr bool single = sizeof(T) == sizeof(float);
  const DType own = single ? DType::f32 : DType::f64;
  run<T>("extremes " + s.text(), [&] { ends(x.data(), own); }, Written<double>{said.data(), 3});
  if constexpr (single) {  // bytes are for this table
    const auto bytes = numbers<std::uint8_t>(n, 3, 250, 2);
    const auto go = [&] { ends(bytes.data(), DType::u8); };
    run<T>("extremes uint8 " + s.text(), go, Written<double>{said.data(), 3});
  }
  x.data()[n - 1] /= T(0);
  const auto look = [&] { *found.data() = static_cast<double>(k.first_nonfinite(x.data(), n)); };
  run<T>("first_nonfinite " + s.text(), look, written(found));
}

template <class T>
void all(const Kernels<T>& k) {
  // Ragged in every direction, one of each tile, more than one block of k and a panel worth
  // packing.
  for (const Shape s : {Shape{1, 1, 1}, Shape{7, 5, 15}, Shape{16, 16, 16}, Shape{17, 33, 65},
                        Shape{13, 400, 63}, Shape{45, 65, 1100}, Shape{70, 770, 17}}) {
    dense(k, s);
    random_dense(k, s);
    covariance(k, s);
  }
  for (const Shape s : {Shape{1, 17, 1}, Shape{5, 63, 10}, Shape{3, 333, 130}}) {
    activation(k, s);
    gather<T, std::uint8_t>(k, s, DType::u8, "u8");
    gather<T, float>(k, s, DType::f32, "f32");
    gather<T, double>(k, s, DType::f64, "f64");
    loss(k, s);
    statistics(k, s);
    gaussian(k, s);
    norm(k, s);
  }
  for (const Shape s : {Shape{1, 1, 1}, Shape{3, 17, 63}, Shape{6, 9, 150}}) drop_connect(k, s);
  for (const index n : {1, 15, 64, 333}) {
    math(k, n);
    optimizer(k, n);
    random(k, n);
  }
}

template <class T>
void few(const Kernels<T>& k) {
  for (const Shape s : {Shape{1, 784, 256}, Shape{32, 256, 128}, Shape{32, 256, 10}}) dense(k, s);
  dense(k, {48, 64, 1100});
  random_dense(k, {16, 128, 256});
  covariance(k, {256, 128, 64});
  drop_connect(k, {8, 64, 256});
  gaussian(k, {8, 1, 256});
  activation(k, {32, 256, 256});
  norm(k, {32, 1, 256});
  gather<T, std::uint8_t>(k, {16, 784, 1}, DType::u8, "u8");
  loss(k, {128, 1, 10});
  statistics(k, {64, 256, 1});
  math(k, 4096);
  optimizer(k, 4096);
  random(k, 4096);
}

/// 2^-126 less 1 to 8 times 2^-152: what a sum of products rounds to is flushed, or is 2^-126.
void bf16_border(const Bf16Kernels<float>& k) {
  const FlushDenormals flush;
  constexpr index in = 3, out = 8;  // even k are one chain
  const float x[] = {0x1p-63f, 0, 0x1p-76f};
  float w[in * out] = {};
  for (index j = 0; j < out; ++j) {
    w[j] = 0x1p-63f;
    w[2 * out + j] = -0x1p-76f * static_cast<float>(j + 1);
  }
  Aligned<float> left(bf16_left_size(1, in)), right(bf16_right_size(in, out)), y(out);
  Bf16Pack<float> rows{x, in, in}, weights{w, out, out};
  rows.left = left.data();
  rows.left_stride = bf16_stride(in);
  weights.right = right.data();
  weights.right_panel = bf16_panel(in);
  k.pack(rows, {0, 1});
  k.pack(weights, {0, in});
  const Bf16Product<float> p{
      left.data(), rows.left_stride, right.data(), weights.right_panel, y.data(), out, in, out};
  run<float>(
      "bf16 forward at the border of subnormal", [&] { k.forward(p, {}, {0, 1}, {0, out}); },
      written(y));
}

/// Numbers of usual size, those whose products lie about the smallest normal number, and huge ones.
void bf16(const Bf16Kernels<float>& k, bool few) {
  if (few) return bf16(k, {32, 784, 256}, 1);
  bf16_border(k);
  for (const Shape s : {Shape{1, 1, 1}, Shape{7, 5, 15}, Shape{16, 32, 16}, Shape{17, 33, 65},
                        Shape{45, 65, 300}, Shape{70, 770, 17}, Shape{300, 40, 130}}) {
    bf16(k, s, 1);
    bf16(k, s, 0x1p-62, "tiny ");
    bf16(k, s, 0x1p63, "huge ");
  }
}

const Table* find(const std::string& name) {
  const Table* const built[] = {FANIN_TABLES};
  for (const Table* t : built) {
    if (name == t->name) return t;
  }
  return nullptr;
}

}  // namespace

}  // namespace fanin::test

int main(int argc, char** argv) {
  const fanin::Table* table = argc > 1 ? fanin::test::find(argv[1]) : nullptr;
  if (!table) {
    std::fprintf(stderr, "usage: run_kernels ISA [few], ISA being one that was built\n");
    return 2;
  }
  const bool few = argc > 2 && std::string(argv[2]) == "few";
  if (std::string(table->name) == "amx" && !fanin::ask_for_amx().empty()) return 3;
  if (few) {
    fanin::test::few(table->f32);
    fanin::test::few(table->f64);
  } else {
    fanin::test::all(table->f32);
    fanin::test::all(table->f64);
  }
  fanin::test::bf16(table->bf16, few);
  fanin::test::pixels(table->images, few);
  fanin::test::geometry(table->images, few);
}
