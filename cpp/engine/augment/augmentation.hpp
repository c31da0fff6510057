#pragma once
#include <memory>
#include <vector>

#include "engine/augment/operations.hpp"
#include "kernels/random.hpp"

namespace fanin {

/// An operation that is applied to a sample with probability p.
struct Step {
  Operation operation;
  double p;
};

/// A pipeline of operations for one sample at a time. Everything drawn is a pure function of
/// (seed, epoch, sample, position of the operation): no batch, thread or worker changes it.
class Augmentation {
 public:
  /// `range`: black and white of float images.
  Augmentation(std::vector<Step> steps, std::uint64_t seed, Interval range = {0, 1});
  ~Augmentation();

  const std::vector<Step>& steps() const;
  int variants() const;     // 1, or 5 or 10 where there is a CornerCrop
  bool normalizes() const;  // then the output is f32

  /// The output's size for an input's; throws std::invalid_argument, naming the operation that
  /// does not fit and a remedy.
  Extent output(Extent input) const;

  /// The rough cost of an image, in the units of useful_threads().
  double flops(Extent input) const;

  /// One Drawn for each step; values that are not applied stay as they are.
  void draw(std::uint64_t sample, std::uint64_t epoch, Extent input, Drawn* drawn) const;

  /// Memory of one thread; grows as needed.
  struct Workspace;
  struct WorkspaceDeleter {
    void operator()(Workspace*) const;
  };
  using WorkspacePointer = std::unique_ptr<Workspace, WorkspaceDeleter>;
  WorkspacePointer workspace() const;

  struct Output {
    void* data;
    DType dtype;        // u8 from u8, f32 from both: u8 / 255 then
    bool planar;        // (channels, height, width)
    bool mask = false;  // geometry alone, by nearest pixels, fill 0
  };
  /// Augments one image; may be called by many threads, each with its own workspace.
  void apply(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
             const Output& out, Workspace& workspace) const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace fanin
