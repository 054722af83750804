#include "threads.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

standin::Dim3 threadIdx, blockIdx, blockDim, gridDim;

/* Save the callee's registers of the x86-64 System V ABI on this stack, go on with another. */
asm(R"(
  .text
  .type sd_switch_stack, @function
sd_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size sd_switch_stack, .-sd_switch_stack
)");
extern "C" void sd_switch_stack(void **from, void *to);

namespace standin {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kSavedRegisters = 6;

struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  void *top = nullptr;
  void *sanitizer = nullptr;
};

/** A thread that waits at a barrier. */
struct Waiting {
  Fiber *fiber;
  unsigned thread;
  const char *file;
  int line;
};

struct Block {
  const std::function<void()> *body;
  std::vector<unsigned> order;
  size_t started = 0, left = 0;
  std::vector<Waiting> waiting;
  std::map<int, std::pair<std::unique_ptr<char[]>, size_t>> memory;
};

Block *block;
std::vector<std::unique_ptr<Fiber>> all_fibers;
std::vector<Fiber *> idle;
Fiber *running;
void *scheduler_top;
#ifdef __SANITIZE_ADDRESS__
void *scheduler_sanitizer;
const void *scheduler_stack;
size_t scheduler_stack_bytes;
#endif

void to_scheduler() {
  Fiber *fiber = running;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fiber->sanitizer, scheduler_stack, scheduler_stack_bytes);
#endif
  sd_switch_stack(&fiber->top, scheduler_top);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fiber->sanitizer, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void to_fiber(Fiber *fiber) {
  running = fiber;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&scheduler_sanitizer, fiber->stack.get(), kStackBytes);
#endif
  sd_switch_stack(&scheduler_top, fiber->top);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(scheduler_sanitizer, nullptr, nullptr);
#endif
}

void become(unsigned thread) {
  threadIdx.x = thread % blockDim.x;
  threadIdx.y = thread / blockDim.x % blockDim.y;
  threadIdx.z = thread / blockDim.x / blockDim.y;
}

/** What a fiber does for ever: threads that have not begun, until one of them waits; then the scheduler goes on. */
void fiber_main() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  for (;;) {
    while (block->started < block->order.size()) {
      become(block->order[block->started++]);
      (*block->body)();
      block->left++;
    }
    idle.push_back(running);
    to_scheduler();
  }
}

Fiber *idle_fiber() {
  if (idle.empty()) {
    all_fibers.push_back(std::make_unique<Fiber>());
    Fiber *fiber = all_fibers.back().get();
    const uintptr_t end = reinterpret_cast<uintptr_t>(fiber->stack.get() + kStackBytes) & ~uintptr_t{15};
    void **top = reinterpret_cast<void **>(end);
    // As after a call: the return address lies at 8 modulo 16.
    *--top = nullptr;
    *--top = reinterpret_cast<void *>(fiber_main);
    for (size_t i = 0; i < kSavedRegisters; i++) *--top = nullptr;
    fiber->top = top;
    idle.push_back(fiber);
  }
  Fiber *fiber = idle.back();
  idle.pop_back();
  return fiber;
}

/** Threads in the order that SAFEDELTA_STANDIN_ORDER asks for: forward, reverse or random. */
void put_in_order(std::vector<unsigned> &threads) {
  static const char *asked = std::getenv("SAFEDELTA_STANDIN_ORDER");
  static std::mt19937 random(7);
  const std::string order = asked ? asked : "forward";
  if (order == "reverse") std::reverse(threads.begin(), threads.end());
  if (order == "random") std::shuffle(threads.begin(), threads.end(), random);
}

std::string disagreement(const Block &b) {
  for (const Waiting &one : b.waiting) {
    if (one.line != b.waiting[0].line || std::strcmp(one.file, b.waiting[0].file) != 0) return "threads wait at different barriers";
  }
  if (b.left == 0) return "";
  return std::to_string(b.left) + " threads have left the block, others wait at " + b.waiting[0].file + ":" + std::to_string(b.waiting[0].line);
}

std::string run_block(const std::function<void()> &body, unsigned n) {
  Block here;
  here.body = &body;
  here.order.resize(n);
  std::iota(here.order.begin(), here.order.end(), 0u);
  put_in_order(here.order);
  block = &here;
  while (here.started < n) to_fiber(idle_fiber());
  while (!here.waiting.empty()) {
    const std::string wrong = disagreement(here);
    if (!wrong.empty()) return wrong;
    std::vector<Waiting> waiting;
    waiting.swap(here.waiting);
    std::sort(waiting.begin(), waiting.end(), [](const Waiting &a, const Waiting &b) { return a.thread < b.thread; });
    std::vector<unsigned> order(waiting.size());
    std::iota(order.begin(), order.end(), 0u);
    put_in_order(order);
    for (unsigned at : order) {
      become(waiting[at].thread);
      to_fiber(waiting[at].fiber);
    }
  }
  return "";
}

}  // namespace

void barrier(const char *file, int line) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  block->waiting.push_back({running, thread, file, line});
  to_scheduler();
}

void *shared(int place, size_t bytes) {
  auto &[memory, size] = block->memory[place];
  if (!memory) {
    memory.reset(new char[bytes]);
    size = bytes;
    std::memset(memory.get(), 0xff, bytes);
  }
  return memory.get();
}

std::string run_grid(Dim3 grid, Dim3 size, const std::function<void()> &body) {
  gridDim = grid;
  blockDim = size;
  for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
        const std::string wrong = run_block(body, size.x * size.y * size.z);
        if (!wrong.empty()) return wrong;
      }
    }
  }
  return "";
}

}  // namespace standin
