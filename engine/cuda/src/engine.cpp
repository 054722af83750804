#include "engine.h"

#include <algorithm>

using namespace sd;

int sd_engine::check(int result, const char *call) {
  if (result == 0) return SD_OK;
  const char *text = nullptr;
  if (driver.error_string(result, &text) != 0 || !text) text = "unknown error";
  const std::string told = std::string(call) + ": " + text + " (" + std::to_string(result) + ")";
  return fail(result == kOutOfMemory ? SD_OUT_OF_MEMORY : SD_FAILED, told);
}

int sd_engine::check_blas(int result, const char *call) {
  if (result == 0) return SD_OK;
  const std::string told = std::string(call) + ": cuBLAS status " + std::to_string(result);
  return fail(result == kAllocFailed ? SD_OUT_OF_MEMORY : SD_FAILED, told);
}

int sd_engine::launch_raw(KernelIndex index, Size grid, Size block, void **arguments) {
  const int result = driver.launch(functions[index], grid.x, grid.y, 1, block.x, block.y, 1, 0, compute, arguments, nullptr);
  return check(result, "cuLaunchKernel");
}

unsigned sd_engine::most_blocks(long wanted) const {
  return static_cast<unsigned>(std::clamp(wanted, 1L, 32L * multiprocessors));
}

Size sd_engine::grid_over(int rows, int cols) const {
  const unsigned x = std::min((cols + 31u) / 32, most_blocks(cols));
  return {x, std::min((rows + 7u) / 8, std::max(1u, most_blocks(1L << 30) / x))};
}

// ---- memory -----------------------------------------------------------------------------------------------------------------

int sd_engine::take(size_t bytes, DeviceAddress &address) {
  std::vector<DeviceAddress> &fitting = pool[bytes];
  if (!fitting.empty()) {
    address = fitting.back();
    fitting.pop_back();
    return SD_OK;
  }
  int result = driver.memory_alloc(&address, bytes);
  if (result == kOutOfMemory) {
    empty_pool();
    result = driver.memory_alloc(&address, bytes);
  }
  if (result != kOutOfMemory) return check(result, "cuMemAlloc");
  return fail(SD_OUT_OF_MEMORY, "no room for " + std::to_string(bytes) + " bytes on device " + std::to_string(device));
}

void sd_engine::empty_pool() {
  for (auto &[bytes, addresses] : pool) {
    for (DeviceAddress address : addresses) driver.memory_free(address);
  }
  pool.clear();
}

namespace {

/** Rows of a matrix in host memory that go through one slot: whole rows, or a part of one. */
struct Part {
  size_t row, offset, rows, bytes;
  size_t total() const { return rows * bytes; }
};

/** The part that begins at byte `offset` of row `row`. */
Part part_at(size_t row, size_t offset, size_t row_bytes, size_t rows) {
  if (row_bytes > kSlotBytes) return {row, offset, 1, std::min(kSlotBytes, row_bytes - offset)};
  return {row, 0, std::min(kSlotBytes / row_bytes, rows - row), row_bytes};
}

/** Call `work` with each part in order. */
template <class Work>
int each_part(size_t row_bytes, size_t rows, Work work) {
  size_t row = 0, offset = 0;
  while (row < rows) {
    const Part part = part_at(row, offset, row_bytes, rows);
    SD_TRY(work(part));
    offset = part.offset + part.bytes;
    if (offset < row_bytes) continue;
    row += part.rows;
    offset = 0;
  }
  return SD_OK;
}

constexpr size_t kItemBytes = 2;

/** Copy between a slot, where rows lie close together, and a matrix. Items are 2 bytes where sizes or places are odd multiples of it. */
int move_rows(sd_engine *engine, DeviceAddress from, size_t from_pitch, DeviceAddress to, size_t to_pitch, const Part &part) {
  const bool words = (from | from_pitch | to | to_pitch | part.bytes) % 4 == 0;
  const size_t item = words ? 4 : kItemBytes;
  const int rows = static_cast<int>(part.rows), cols = static_cast<int>(part.bytes / item);
  return engine->launch_over(rows, cols, kernels::move_items, static_cast<int>(item), at<const void>(from),
                             static_cast<long>(from_pitch / item), nullptr, nullptr, at<void>(to),
                             static_cast<long>(to_pitch / item), nullptr, nullptr, rows, cols);
}

}  // namespace

/*
 * Host -> pinned (this thread) -> slot (copy stream) -> engine memory (compute stream). The copy runs beside earlier computation;
 * only the last step, at the device's own speed, waits for it.
 */
int sd_engine::write(DeviceAddress to, size_t pitch_bytes, const void *from, size_t row_bytes, size_t rows) {
  const char *source = static_cast<const char *>(from);
  return each_part(row_bytes, rows, [&](const Part &part) {
    Slot &slot = ring_in.take();
    SD_TRY(check(driver.event_synchronize(slot.used), "cuEventSynchronize"));
    __builtin_memcpy(slot.host, source, part.total());
    source += part.total();
    SD_TRY(check(driver.copy_in(slot.device, slot.host, part.total(), in), "cuMemcpyHtoDAsync"));
    SD_TRY(check(driver.event_record(slot.copied, in), "cuEventRecord"));
    SD_TRY(check(driver.stream_wait(compute, slot.copied, 0), "cuStreamWaitEvent"));
    SD_TRY(move_rows(this, slot.device, part.bytes, to + part.row * pitch_bytes + part.offset, pitch_bytes, part));
    return check(driver.event_record(slot.used, compute), "cuEventRecord");
  });
}

/* Engine memory -> slot (compute stream) -> pinned (copy stream) -> host (this thread), some slots under way at once. */
int sd_engine::read(DeviceAddress from, size_t pitch_bytes, void *to, size_t row_bytes, size_t rows) {
  struct Landing {
    Slot *slot;
    char *to;
    size_t bytes;
  };
  std::vector<Landing> under_way;
  size_t landed = 0;
  char *target = static_cast<char *>(to);
  const auto land = [&]() {
    const Landing &next = under_way[landed++];
    SD_TRY(check(driver.event_synchronize(next.slot->used), "cuEventSynchronize"));
    __builtin_memcpy(next.to, next.slot->host, next.bytes);
    return SD_OK;
  };
  SD_TRY(each_part(row_bytes, rows, [&](const Part &part) {
    if (under_way.size() - landed == Ring::kSlots) SD_TRY(land());
    Slot &slot = ring_out.take();
    SD_TRY(move_rows(this, from + part.row * pitch_bytes + part.offset, pitch_bytes, slot.device, part.bytes, part));
    SD_TRY(check(driver.event_record(slot.copied, compute), "cuEventRecord"));
    SD_TRY(check(driver.stream_wait(out, slot.copied, 0), "cuStreamWaitEvent"));
    SD_TRY(check(driver.copy_out(slot.host, slot.device, part.total(), out), "cuMemcpyDtoHAsync"));
    SD_TRY(check(driver.event_record(slot.used, out), "cuEventRecord"));
    under_way.push_back({&slot, target, part.total()});
    target += part.total();
    return SD_OK;
  }));
  while (landed < under_way.size()) SD_TRY(land());
  return SD_OK;
}

int sd_engine::clear_status() { return check(driver.memory_set(status, 0, sizeof(int), compute), "cuMemsetD8Async"); }

/** The pivot that kernels left since `clear_status`, as a status. */
int sd_engine::read_status() {
  int found = 0;
  SD_TRY(read(status, sizeof found, &found, sizeof found, 1));
  return found == 0 ? SD_OK : fail(found, "bad pivot in row " + std::to_string(found - 1));
}
