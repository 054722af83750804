/* One open device: its streams, memory and kernels. All engine memory is seen by the compute stream alone, which keeps order. */
#ifndef SD_ENGINE_H
#define SD_ENGINE_H

#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "../../include/safedelta.h"
#include "driver.h"
#include "kernels.h"

namespace sd {

#define SD_INDEX(name, parameters) k_##name,
enum KernelIndex { SD_KERNELS(SD_INDEX) kKernels };
#undef SD_INDEX

template <class Signature>
struct Kernel;
template <class... P>
struct Kernel<void(P...)> {
  KernelIndex index;
};

namespace kernels {
#define SD_KERNEL_VALUE(name, parameters) inline constexpr Kernel<void parameters> name{k_##name};
SD_KERNELS(SD_KERNEL_VALUE)
#undef SD_KERNEL_VALUE
}  // namespace kernels

/** Keep the text for sd_last_error; gives `code`. */
int fail(int code, const std::string &text);

/** Pass a failure on. */
#define SD_TRY(call)                                     \
  do {                                                   \
    if (const int sd_status = (call)) return sd_status;  \
  } while (0)

struct Size {
  unsigned x, y;
};

/** Pinned host memory with as much device memory beside it: one step of the way between host and engine memory. */
struct Slot {
  void *host = nullptr;
  DeviceAddress device = 0;
  Event copied = nullptr, used = nullptr;
};

/** Slots that are used in turn. */
struct Ring {
  static constexpr size_t kSlots = 4;
  Slot slots[kSlots];
  size_t next = 0;
  Slot &take() { return slots[next++ % kSlots]; }
};

/** Bytes of a slot. */
constexpr size_t kSlotBytes = 16u << 20;

}  // namespace sd

struct sd_engine {
  sd::Driver driver;
  sd::Blas blas;
  sd::Device device = 0;
  sd::Context context = nullptr;
  sd::Module module = nullptr;
  sd::Function functions[sd::kKernels] = {};
  sd::Stream compute = nullptr, in = nullptr, out = nullptr;
  sd::BlasHandle handle = nullptr;
  sd::Ring ring_in, ring_out;
  /** Where kernels leave a pivot; engine memory. */
  sd::DeviceAddress status = 0;
  /** Freed memory by its exact size. The compute stream's order makes it safe to use again at once. */
  std::unordered_map<size_t, std::vector<sd::DeviceAddress>> pool;
  int multiprocessors = 1;
  std::string description;

  /** @returns SD_OK, SD_OUT_OF_MEMORY or SD_FAILED with the driver's text */
  int check(int result, const char *call);
  int check_blas(int result, const char *call);
  /** Make the context current on this thread; every entry begins with it. */
  int enter() { return check(driver.context_set(context), "cuCtxSetCurrent"); }

  template <class... P>
  int launch(sd::Kernel<void(P...)> kernel, sd::Size grid, sd::Size block, std::type_identity_t<P>... arguments) {
    void *list[] = {&arguments...};
    return launch_raw(kernel.index, grid, block, list);
  }
  int launch_raw(sd::KernelIndex index, sd::Size grid, sd::Size block, void **arguments);
  /** For kernels that go over rows and columns: 32 x 8 threads a block, no more blocks than keep the device busy. */
  template <class... P>
  int launch_over(int rows, int cols, sd::Kernel<void(P...)> kernel, std::type_identity_t<P>... arguments) {
    if (rows == 0 || cols == 0) return SD_OK;
    return launch(kernel, grid_over(rows, cols), {32, 8}, arguments...);
  }
  /** For kernels whose blocks of SD_THREADS take one task after the other. */
  template <class... P>
  int launch_tasks(long tasks, sd::Kernel<void(P...)> kernel, std::type_identity_t<P>... arguments) {
    if (tasks == 0) return SD_OK;
    return launch(kernel, {most_blocks(tasks), 1}, {16, 16}, arguments...);
  }
  sd::Size grid_over(int rows, int cols) const;
  unsigned most_blocks(long wanted) const;

  /** Engine memory that may hold anything. */
  int take(size_t bytes, sd::DeviceAddress &address);
  void give_back(sd::DeviceAddress address, size_t bytes) { pool[bytes].push_back(address); }
  void empty_pool();

  int write(sd::DeviceAddress to, size_t pitch_bytes, const void *from, size_t row_bytes, size_t rows);
  int read(sd::DeviceAddress from, size_t pitch_bytes, void *to, size_t row_bytes, size_t rows);
  int read_status();
  int clear_status();
};

namespace sd {

/** Engine memory that returns to the pool at the end of its scope. */
class Scratch {
 public:
  explicit Scratch(sd_engine *engine) : engine(engine) {}
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() {
    if (bytes) engine->give_back(address, bytes);
  }
  int take(size_t wanted) {
    SD_TRY(engine->take(wanted, address));
    bytes = wanted;
    return SD_OK;
  }
  template <class T>
  T *at() const {
    return reinterpret_cast<T *>(address);
  }
  /** A copy of `n` host numbers. */
  template <class T>
  int upload(const T *values, size_t n) {
    SD_TRY(take(n * sizeof(T)));
    return engine->write(address, bytes, values, bytes, 1);
  }

 private:
  sd_engine *engine;
  DeviceAddress address = 0;
  size_t bytes = 0;
};

/** Device code's view of an address; host code never follows it. */
template <class T>
T *at(sd_address address) {
  return reinterpret_cast<T *>(address);
}

}  // namespace sd

#endif
