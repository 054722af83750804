/* Opening and closing a device, and what it says of itself. */
#include <algorithm>
#include <cstring>
#include <memory>

#include "engine.h"

using namespace sd;

extern "C" __attribute__((visibility("hidden"))) const char sd_ptx[];

namespace {

thread_local std::string last_error;

int put_text(const std::string &text, char *to, int capacity) {
  if (capacity <= 0) return SD_OK;
  const size_t length = std::min(text.size(), static_cast<size_t>(capacity) - 1);
  std::memcpy(to, text.data(), length);
  to[length] = 0;
  return SD_OK;
}

int unavailable(const std::string &text) { return fail(SD_UNAVAILABLE, text); }

/** Driver, device and cuBLAS, or which of them is missing. */
int find_device(sd_engine &engine, int number, const char *folders) {
  Driver &driver = engine.driver;
  const std::string missing = open_driver(folders, driver);
  if (!missing.empty()) return unavailable(missing);
  if (engine.check(driver.init(0), "the driver is there, but cuInit")) return SD_UNAVAILABLE;
  int count = 0;
  if (engine.check(driver.device_count(&count), "cuDeviceGetCount")) return SD_UNAVAILABLE;
  if (number < 0 || number >= count) {
    return fail(SD_NO_SUCH_DEVICE, "device " + std::to_string(number) + " was asked for, the driver shows " +
                                       std::to_string(count) + " (CUDA_VISIBLE_DEVICES says which)");
  }
  return engine.check(driver.device_get(&engine.device, number), "cuDeviceGet") ? SD_UNAVAILABLE : SD_OK;
}

/** Which of several devices a failure is of. */
std::string numbered(const sd_engine &engine) { return "device " + std::to_string(engine.device) + ", "; }

/** sm_80 is what the kernels are compiled for. */
int describe_device(sd_engine &engine, const char *folders) {
  Driver &driver = engine.driver;
  char name[128] = {};
  int major = 0, minor = 0, version = 0, blas_version = 0;
  SD_TRY(engine.check(driver.device_name(name, sizeof name, engine.device), "cuDeviceGetName"));
  SD_TRY(engine.check(driver.device_attribute(&major, kMajor, engine.device), "cuDeviceGetAttribute"));
  SD_TRY(engine.check(driver.device_attribute(&minor, kMinor, engine.device), "cuDeviceGetAttribute"));
  SD_TRY(engine.check(driver.device_attribute(&engine.multiprocessors, kMultiprocessors, engine.device), "cuDeviceGetAttribute"));
  SD_TRY(engine.check(driver.driver_version(&version), "cuDriverGetVersion"));
  const std::string device = std::string(name) + " (sm_" + std::to_string(major) + std::to_string(minor) + ")";
  if (major < 8) return unavailable(numbered(engine) + device + " is older than sm_80 (Ampere), which our kernels need");
  std::string file;
  const std::string missing = open_blas(folders, version, engine.blas, file);
  if (!missing.empty()) return unavailable(missing);
  SD_TRY(engine.check_blas(engine.blas.version(nullptr, &blas_version), "cublasGetVersion"));
  engine.description = device + ", driver for CUDA " + std::to_string(version / 1000) + "." +
                       std::to_string(version % 1000 / 10) + ", " + file + " (" + std::to_string(blas_version) + ")";
  return SD_OK;
}

int load_kernels(sd_engine &engine) {
  char log[2048] = {};
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  const int result = engine.driver.module_load(&engine.module, sd_ptx, 2, options, values);
  if (result) return engine.check(result, (std::string("the driver does not take our kernels: ") + log + " cuModuleLoadDataEx").c_str());
#define SD_NAME(name, parameters) "sd_k_" #name,
  static const char *const names[] = {SD_KERNELS(SD_NAME)};
#undef SD_NAME
  for (int i = 0; i < kKernels; i++) {
    SD_TRY(engine.check(engine.driver.module_function(&engine.functions[i], engine.module, names[i]), names[i]));
  }
  return SD_OK;
}

int make_ring(sd_engine &engine, Ring &ring) {
  for (Slot &slot : ring.slots) {
    SD_TRY(engine.check(engine.driver.host_alloc(&slot.host, kSlotBytes, 0), "cuMemHostAlloc"));
    SD_TRY(engine.take(kSlotBytes, slot.device));
    SD_TRY(engine.check(engine.driver.event_create(&slot.copied, kDisableTiming), "cuEventCreate"));
    SD_TRY(engine.check(engine.driver.event_create(&slot.used, kDisableTiming), "cuEventCreate"));
  }
  return SD_OK;
}

int start(sd_engine &engine) {
  SD_TRY(engine.check(engine.driver.context_retain(&engine.context, engine.device), "cuDevicePrimaryCtxRetain"));
  SD_TRY(engine.enter());
  for (Stream *stream : {&engine.compute, &engine.in, &engine.out}) {
    SD_TRY(engine.check(engine.driver.stream_create(stream, kNonBlocking), "cuStreamCreate"));
  }
  SD_TRY(load_kernels(engine));
  SD_TRY(engine.check_blas(engine.blas.create(&engine.handle), "cublasCreate"));
  SD_TRY(engine.check_blas(engine.blas.set_stream(engine.handle, engine.compute), "cublasSetStream"));
  SD_TRY(engine.check_blas(engine.blas.set_math_mode(engine.handle, kDefaultMath), "cublasSetMathMode"));
  SD_TRY(engine.take(sizeof(int), engine.status));
  SD_TRY(make_ring(engine, engine.ring_in));
  return make_ring(engine, engine.ring_out);
}

/** Whatever `start` made, in whatever state it ended. */
void stop(sd_engine &engine) {
  Driver &driver = engine.driver;
  if (!engine.context) return;
  engine.enter();
  if (engine.compute) driver.stream_synchronize(engine.compute);
  if (engine.handle) engine.blas.destroy(engine.handle);
  for (Ring *ring : {&engine.ring_in, &engine.ring_out}) {
    for (Slot &slot : ring->slots) {
      if (slot.host) driver.host_free(slot.host);
      if (slot.device) driver.memory_free(slot.device);
      if (slot.copied) driver.event_destroy(slot.copied);
      if (slot.used) driver.event_destroy(slot.used);
    }
  }
  if (engine.status) driver.memory_free(engine.status);
  engine.empty_pool();
  if (engine.module) driver.module_unload(engine.module);
  for (Stream stream : {engine.compute, engine.in, engine.out}) {
    if (stream) driver.stream_destroy(stream);
  }
  driver.context_release(engine.device);
}

}  // namespace

int sd::fail(int code, const std::string &text) {
  last_error = text;
  return code;
}

int32_t sd_abi_version(void) { return SD_ABI_VERSION; }

int32_t sd_last_error(char *text, int32_t capacity) { return put_text(last_error, text, capacity); }

int32_t sd_open(int32_t number, const char *folders, sd_engine **engine) {
  auto opened = std::make_unique<sd_engine>();
  SD_TRY(find_device(*opened, number, folders));
  SD_TRY(describe_device(*opened, folders));
  if (start(*opened)) {
    const std::string why = last_error;
    stop(*opened);
    return unavailable(numbered(*opened) + opened->description + ": " + why);
  }
  *engine = opened.release();
  return SD_OK;
}

int32_t sd_close(sd_engine *engine) {
  stop(*engine);
  delete engine;
  return SD_OK;
}

int32_t sd_describe(sd_engine *engine, char *text, int32_t capacity, int32_t *threads) {
  *threads = engine->multiprocessors;
  return put_text(engine->description, text, capacity);
}

int32_t sd_memory(sd_engine *engine, double *free_bytes, double *total_bytes) {
  SD_TRY(engine->enter());
  size_t free = 0, total = 0;
  SD_TRY(engine->check(engine->driver.memory_info(&free, &total), "cuMemGetInfo"));
  for (const auto &[bytes, addresses] : engine->pool) free += bytes * addresses.size();
  *free_bytes = static_cast<double>(free);
  *total_bytes = static_cast<double>(total);
  return SD_OK;
}
