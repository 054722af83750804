/*
 * libcuda.so.1 as a stand-in: the functions of the driver API that our library uses, on the CPU. Device memory is host memory that
 * starts poisoned; work waits until something synchronises, and then only what must be done is done, so that a forgotten wait shows.
 * A device has its own memory, streams, events and kernels, and takes no other's. Threads take turns, one call each.
 *
 * SAFEDELTA_STANDIN_EAGER=1 does all work at once. SAFEDELTA_STANDIN_DEVICES, _SM, _DRIVER and _BYTES give another machine; _SM_1 and
 * _BYTES_1 hold for device 1 alone.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "../src/kernels.h"
#include "device.h"
#include "threads.h"

#define API extern "C" __attribute__((visibility("default"))) int

namespace standin {

struct Device {
  int number = 0;
  std::map<const char *, size_t> allocations;
  size_t allocated = 0;
  std::set<Stream *> streams;
  int sticky = 0;
};

struct Event {
  Device *device;
  Stream *stream = nullptr;
  long recorded = 0, done = 0;
};

struct Work {
  std::function<int()> run;
  /** Recorded, or (`waits`) waited for, up to `count`. */
  Event *event = nullptr;
  long count = 0;
  bool waits = false;
};

struct Stream {
  Device *device;
  std::deque<Work> queue;
};

namespace {

constexpr int kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100, kInvalidDevice = 101, kInvalidImage = 200, kInvalidContext = 201,
              kInvalidHandle = 400, kNotFound = 500, kLaunchFailed = 719;
constexpr char kPoison = static_cast<char>(0xff);

std::recursive_mutex one_at_a_time;
using Turn = std::lock_guard<std::recursive_mutex>;

std::set<void *> pinned;
std::string sticky_text;
/** Whose context this thread has set. */
thread_local Device *current = nullptr;

long setting(const std::string &name, long otherwise) {
  const char *text = std::getenv(("SAFEDELTA_STANDIN_" + name).c_str());
  return text ? std::strtol(text, nullptr, 10) : otherwise;
}

long setting_of(int device, const std::string &name, long otherwise) {
  return setting(name + "_" + std::to_string(device), setting(name, otherwise));
}

std::vector<Device> &machine() {
  static std::vector<Device> devices(static_cast<size_t>(setting("DEVICES", 1)));
  for (size_t i = 0; i < devices.size(); i++) devices[i].number = static_cast<int>(i);
  return devices;
}

/** Null: there is none of this number. */
Device *device_of(int number) {
  std::vector<Device> &devices = machine();
  return number >= 0 && static_cast<size_t>(number) < devices.size() ? &devices[static_cast<size_t>(number)] : nullptr;
}

void advance(Stream *stream);

void reach(Event *event, long count) {
  while (event->done < count && event->stream && !event->stream->queue.empty()) advance(event->stream);
}

/** Do the next work of the stream. */
void advance(Stream *stream) {
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (work.waits) reach(work.event, work.count);
  else if (work.event) work.event->done = work.count;
  else if (const int error = stream->device->sticky ? 0 : work.run()) stream->device->sticky = error;
}

int finish(Stream *stream) {
  while (!stream->queue.empty()) advance(stream);
  return stream->device->sticky;
}

int finish_all(Device *device) {
  for (Stream *stream : device->streams) finish(stream);
  return device->sticky;
}

void put(Stream *stream, Work work) {
  stream->queue.push_back(std::move(work));
  static const bool eager = setting("EAGER", 0) != 0;
  if (eager) finish(stream);
}

int fail_launch(const std::string &text) {
  sticky_text = text;
  return kLaunchFailed;
}

// ---- kernels ----------------------------------------------------------------------------------------------------------------

template <class T>
bool acceptable(T) {
  return true;
}
template <class T>
bool acceptable(T *pointer) {
  return pointer == nullptr || on_device(pointer, 1);
}

using Bound = std::function<void()>;

/** Copies the arguments, as a launch does, and checks that each pointer is one of the device. Empty: one is not. */
template <class... P, size_t... I>
Bound capture(void (*kernel)(P...), void **arguments, std::index_sequence<I...>) {
  const std::tuple<P...> values(*static_cast<P *>(arguments[I])...);
  if (!(acceptable(std::get<I>(values)) && ...)) return {};
  return [kernel, values] { std::apply(kernel, values); };
}

#define SD_DECLARE(name, parameters) extern "C" void sd_k_##name parameters;
SD_KERNELS(SD_DECLARE)
#undef SD_DECLARE

template <class... P>
Bound capture(void (*kernel)(P...), void **arguments) {
  return capture(kernel, arguments, std::index_sequence_for<P...>());
}

struct Kernel {
  const char *name;
  Bound (*capture)(void **arguments);
};

/** A kernel as one device has loaded it. */
struct Function {
  const Kernel *kernel;
  Device *device;
};

#define SD_ENTRY(name, parameters) {"sd_k_" #name, [](void **arguments) { return capture(sd_k_##name, arguments); }},
const Kernel table[] = {SD_KERNELS(SD_ENTRY)};
#undef SD_ENTRY

}  // namespace

__attribute__((visibility("default"))) bool enqueue(Stream *stream, std::function<int()> work) {
  const Turn turn(one_at_a_time);
  if (!current || stream->device != current) return false;
  put(stream, {std::move(work)});
  return true;
}

__attribute__((visibility("default"))) bool on_device(const void *address, size_t bytes) {
  const Turn turn(one_at_a_time);
  if (!current) return false;
  const char *at = static_cast<const char *>(address);
  auto next = current->allocations.upper_bound(at);
  if (next == current->allocations.begin()) return false;
  const auto &[start, size] = *--next;
  return at + bytes <= start + size;
}

}  // namespace standin

using namespace standin;

/** What a call that queues work returns: an error of the call, or of earlier work. */
static int queued(Stream *stream, std::function<int()> work) {
  return enqueue(stream, std::move(work)) ? stream->device->sticky : kInvalidHandle;
}

API cuInit(unsigned) { return setting("DEVICES", 1) > 0 ? 0 : kNoDevice; }

API cuDriverGetVersion(int *version) {
  *version = static_cast<int>(setting("DRIVER", 13000));
  return 0;
}

API cuGetErrorString(int error, const char **text) {
  static const std::map<int, const char *> texts = {{kInvalidValue, "invalid argument"},
                                                    {kOutOfMemory, "out of memory"},
                                                    {kNoDevice, "no CUDA-capable device is detected"},
                                                    {kInvalidDevice, "invalid device ordinal"},
                                                    {kInvalidImage, "device kernel image is invalid"},
                                                    {kInvalidContext, "invalid device context"},
                                                    {kInvalidHandle, "invalid resource handle"},
                                                    {kNotFound, "named symbol not found"}};
  const auto found = texts.find(error);
  *text = error == kLaunchFailed ? sticky_text.c_str() : found == texts.end() ? nullptr : found->second;
  return *text ? 0 : kInvalidValue;
}

API cuDeviceGetCount(int *count) {
  *count = static_cast<int>(setting("DEVICES", 1));
  return 0;
}

API cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return device_of(ordinal) ? 0 : kInvalidDevice;
}

API cuDeviceGetName(char *name, int capacity, int) {
  std::snprintf(name, static_cast<size_t>(capacity), "stand-in for a GPU");
  return 0;
}

API cuDeviceGetAttribute(int *value, int attribute, int device) {
  const int sm = static_cast<int>(setting_of(device, "SM", 80));
  *value = attribute == 75 ? sm / 10 : attribute == 76 ? sm % 10 : attribute == 16 ? 2 : 0;
  return 0;
}

API cuDevicePrimaryCtxRetain(Device **context, int device) {
  *context = device_of(device);
  return *context ? 0 : kInvalidDevice;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  const Turn turn(one_at_a_time);
  return finish_all(device_of(device));
}

API cuCtxSetCurrent(Device *context) {
  current = context;
  return context ? 0 : kInvalidValue;
}

API cuMemGetInfo_v2(size_t *free, size_t *total) {
  const Turn turn(one_at_a_time);
  if (!current) return kInvalidContext;
  *total = static_cast<size_t>(setting_of(current->number, "BYTES", 16L << 30));
  *free = *total - current->allocated;
  return 0;
}

API cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  const Turn turn(one_at_a_time);
  size_t free = 0, total = 0;
  if (const int error = cuMemGetInfo_v2(&free, &total)) return error;
  if (bytes == 0) return kInvalidValue;
  char *memory = bytes > free ? nullptr : static_cast<char *>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
#ifdef __SANITIZE_ADDRESS__
  // The exact size, so that one past the end is seen.
  std::free(memory);
  memory = bytes > free ? nullptr : static_cast<char *>(std::malloc(bytes));
#endif
  if (!memory) return kOutOfMemory;
  std::memset(memory, kPoison, bytes);
  current->allocations[memory] = bytes;
  current->allocated += bytes;
  *address = reinterpret_cast<unsigned long long>(memory);
  return 0;
}

API cuMemFree_v2(unsigned long long address) {
  const Turn turn(one_at_a_time);
  if (!current) return kInvalidContext;
  finish_all(current);
  const auto found = current->allocations.find(reinterpret_cast<const char *>(address));
  if (found == current->allocations.end()) return kInvalidValue;
  current->allocated -= found->second;
  std::free(const_cast<char *>(found->first));
  current->allocations.erase(found);
  return 0;
}

API cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  const Turn turn(one_at_a_time);
  *address = std::malloc(bytes);
  pinned.insert(*address);
  return *address ? 0 : kOutOfMemory;
}

API cuMemFreeHost(void *address) {
  const Turn turn(one_at_a_time);
  if (pinned.erase(address) == 0) return kInvalidValue;
  std::free(address);
  return 0;
}

API cuMemsetD8Async(unsigned long long address, unsigned char value, size_t bytes, Stream *stream) {
  void *at = reinterpret_cast<void *>(address);
  if (!on_device(at, bytes)) return kInvalidValue;
  return queued(stream, [=] { return std::memset(at, value, bytes), 0; });
}

API cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, Stream *stream) {
  void *at = reinterpret_cast<void *>(to);
  if (!on_device(at, bytes)) return kInvalidValue;
  return queued(stream, [=] { return std::memcpy(at, from, bytes), 0; });
}

API cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, Stream *stream) {
  const void *at = reinterpret_cast<const void *>(from);
  if (!on_device(at, bytes)) return kInvalidValue;
  return queued(stream, [=] { return std::memcpy(to, at, bytes), 0; });
}

API cuStreamCreate(Stream **stream, unsigned) {
  const Turn turn(one_at_a_time);
  if (!current) return kInvalidContext;
  current->streams.insert(*stream = new Stream{current, {}});
  return 0;
}

API cuStreamDestroy_v2(Stream *stream) {
  const Turn turn(one_at_a_time);
  finish(stream);
  stream->device->streams.erase(stream);
  delete stream;
  return 0;
}

API cuStreamSynchronize(Stream *stream) {
  const Turn turn(one_at_a_time);
  return stream->device == current ? finish(stream) : kInvalidHandle;
}

API cuStreamWaitEvent(Stream *stream, Event *event, unsigned) {
  const Turn turn(one_at_a_time);
  if (stream->device != current) return kInvalidHandle;
  if (event->recorded > 0) put(stream, {{}, event, event->recorded, true});
  return stream->device->sticky;
}

API cuEventCreate(Event **event, unsigned) {
  if (!current) return kInvalidContext;
  *event = new Event{current};
  return 0;
}

API cuEventDestroy_v2(Event *event) {
  const Turn turn(one_at_a_time);
  reach(event, event->recorded);
  delete event;
  return 0;
}

API cuEventRecord(Event *event, Stream *stream) {
  const Turn turn(one_at_a_time);
  if (event->device != stream->device || stream->device != current) return kInvalidHandle;
  event->stream = stream;
  put(stream, {{}, event, ++event->recorded, false});
  return stream->device->sticky;
}

API cuEventSynchronize(Event *event) {
  const Turn turn(one_at_a_time);
  reach(event, event->recorded);
  return event->device->sticky;
}

/** Accepts text that has every kernel as an entry; what it computes is the same source, compiled for the CPU. */
API cuModuleLoadDataEx(Device **module, const void *image, unsigned, int *, void **) {
  const std::string text = static_cast<const char *>(image);
  for (const Kernel &kernel : table) {
    if (text.find(std::string(".entry ") + kernel.name + "(") == std::string::npos) return kInvalidImage;
  }
  *module = current;
  return current ? 0 : kInvalidContext;
}

API cuModuleUnload(Device *module) {
  const Turn turn(one_at_a_time);
  return finish_all(module);
}

API cuModuleGetFunction(const Function **function, Device *module, const char *name) {
  const Turn turn(one_at_a_time);
  static std::map<std::pair<Device *, std::string>, Function> loaded;
  for (const Kernel &kernel : table) {
    if (kernel.name != std::string(name)) continue;
    *function = &(loaded[{module, name}] = {&kernel, module});
    return 0;
  }
  return kNotFound;
}

API cuLaunchKernel(const Function *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned, Stream *stream, void **arguments, void **) {
  const Turn turn(one_at_a_time);
  const bool fits = grid_x > 0 && grid_y > 0 && grid_y < 65536 && grid_z == 1 && block_x > 0 && block_y > 0 && block_z == 1;
  if (!fits || block_x * block_y > 1024) return kInvalidValue;
  if (function->device != stream->device) return kInvalidHandle;
  const Bound body = function->kernel->capture(arguments);
  if (!body) return kInvalidValue;
  const std::string name = function->kernel->name;
  return queued(stream, [=] {
    const std::string wrong = run_grid({grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, body);
    return wrong.empty() ? 0 : fail_launch(name + ": " + wrong);
  });
}
