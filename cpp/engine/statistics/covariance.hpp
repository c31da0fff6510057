#pragma once
#include "core/parallel.hpp"
#include "core/rows.hpp"
#include "kernels/covariance.hpp"

namespace fanin {

// In all of these `poll` is called on the calling thread about every 50 ms; an exception ends the
// work.

/// sums (cols) += the sum over rows of x - shift, or of its square; shift may be null.
void column_sums(const Rows& x, const double* shift, bool squared, double* sums, int n_threads,
                 FunctionRef<void()> poll);

/// out (n, cols) = (x - mean) * scale; scale may be null.
template <class T>
void centre(const Rows& x, const double* mean, const double* scale, T* out, int n_threads,
            FunctionRef<void()> poll);

/// total (cols, cols) += the sum over rows of (x - mean)ᵀ (x - mean), products in T. The sums are
/// made about a nearby shift that T holds (for bytes a whole number, so that they are exact), and
/// moved.
template <class T>
void scatter(const Rows& x, const double* mean, double* total, int n_threads,
             FunctionRef<void()> poll);

/// out (n, m) = ((x - mean) · vectorsᵀ) * scale + add, vectors (m, cols); scale, add may be null.
template <class T>
void project(const Rows& x, const double* mean, const T* vectors, index m, const double* scale,
             const double* add, T* out, int n_threads, FunctionRef<void()> poll);

}  // namespace fanin
