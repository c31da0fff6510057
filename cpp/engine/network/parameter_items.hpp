#pragma once
#include "engine/network/bf16_weights.hpp"
#include "kernels/optimizer.hpp"

namespace fanin {

/// One unit of work on parameters: rows of a matrix, or all of a vector.
struct ParameterItem {
  const Parameter* of;
  Range rows;
  index offset, size;  // in the arena
  std::size_t square;  // of its first row, among the squares

  bool weights() const { return of->role == Role::weights; }
  bool first_weights() const { return weights() && of->op == 0; }
};

/// The arguments of a parameter update beside the gradient.
template <class T>
struct ParameterUpdate {
  StepCoefficients<T> coefficients;
  Rule rule;
  T* const* states;  // arenas of the rule
  double l2;
  double factor;  // of the gradient
};

/// A network's parameters, split into items for the threads of a team; their masked and transposed
/// copies for products; and the squared norms of their rows.
template <class T>
class ParameterItems {
 public:
  explicit ParameterItems(Network<T>& network);

  const std::vector<ParameterItem>& all() const { return items_; }

  /// Elements of the largest item.
  index largest() const { return largest_; }

  /// The masks of a step, for rows from `first_row` on.
  DropoutKey<T> key_of(std::uint64_t seed, std::uint64_t step, index first_row) const;

  /// The weights of a dense op above the first, (out, in), as last prepared; null where they are
  /// wide, which products take as they are.
  const T* transposed(std::size_t op) const;

  /// The same weights as products of bf16 take them.
  const Bf16Weights<T>& bf16() const { return bf16_; }

  /// Runs work(item, member) for each item.
  template <class F>
  void share(Team& team, F&& work) const {
    team.share(static_cast<index>(items_.size()),
               [&](index i, int member) { work(items_[static_cast<std::size_t>(i)], member); });
  }

  /// An item's weights as the next products take them: masked where a key is given, then
  /// transposed, or packed for bf16.
  void prepare(const ParameterItem& item, const DropoutKey<T>* dropout);
  void prepare_all(Team& team, const DropoutKey<T>* dropout);

  /// The mask that all rows share, applied to an item's weights or their gradient.
  void mask_weights(const ParameterItem& item, const DropoutKey<T>& key, const T* from,
                    T* to) const;

  /// One step of the rule on an item. With L2, the squares are those of the weights before it.
  void update(const ParameterItem& item, const ParameterUpdate<T>& u, const T* gradient);

  /// gradient += l2 * w over an item that decays, whose squares are taken.
  void add_l2(const ParameterItem& item, double l2, T* gradient);

  /// Sums of squares by row of an arena, so that their total does not depend on how parameters
  /// are split into items.
  void sum_squares(Team& team, const T* arena);
  double total_squares() const { return sum_of_squares(false); }
  double decaying_squares() const { return sum_of_squares(true); }

 private:
  void plan();
  void sum_row_squares(const ParameterItem& item, const T* p);
  double sum_of_squares(bool decaying_only) const;

  Network<T>& network_;
  std::vector<ParameterItem> items_;
  index largest_ = 0;
  std::vector<double> squares_;           // of each row
  std::vector<index> transpose_offsets_;  // negative: none
  Aligned<T> transposes_, masked_;
  Bf16Weights<T> bf16_;
};

}  // namespace fanin
