#include "driver.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace sd {
namespace {

/** Open `name` from the first folder that has it or else from the loader's path. Never closed: others may use it. */
void *open_library(const char *folders, const std::string &name, std::string &why) {
  const std::string lines = folders ? folders : "";
  for (size_t from = 0, to; from < lines.size(); from = to + 1) {
    to = std::min(lines.find('\n', from), lines.size());
    const std::string path = lines.substr(from, to - from) + "/" + name;
    if (access(path.c_str(), F_OK) != 0) continue;
    if (void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    why += std::string(dlerror()) + "; ";
  }
  if (void *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  why += std::string(dlerror()) + "; ";
  return nullptr;
}

template <class F>
bool look_up(void *library, const char *name, F &function, std::string &missing) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function) missing += std::string(missing.empty() ? "" : ", ") + name;
  return function != nullptr;
}

std::string too_old(const std::string &library, const std::string &missing) {
  return missing.empty() ? "" : library + " lacks " + missing + ": a newer one is needed";
}

}  // namespace

std::string open_driver(const char *folders, Driver &driver) {
  std::string why, missing;
  void *library = open_library(folders, "libcuda.so.1", why);
  if (!library) return "no NVIDIA driver here (" + why + "install the driver of your GPU)";
#define SD_LOOK_UP(name, ours, parameters) look_up(library, #name, driver.ours, missing);
  SD_DRIVER_FUNCTIONS(SD_LOOK_UP)
#undef SD_LOOK_UP
  return too_old("libcuda.so.1", missing);
}

std::string open_blas(const char *folders, int driver_version, Blas &blas, std::string &found) {
  std::vector<std::string> names = {"libcublas.so.12", "libcublas.so.11"};
  if (driver_version >= kDriver13) names.insert(names.begin(), "libcublas.so.13");
  std::string why, missing;
  for (const std::string &name : names) {
    void *library = open_library(folders, name, why);
    if (!library) continue;
    found = name;
#define SD_LOOK_UP(name, ours, parameters) look_up(library, #name, blas.ours, missing);
    SD_BLAS_FUNCTIONS(SD_LOOK_UP)
#undef SD_LOOK_UP
    return too_old(name, missing);
  }
  return "no cuBLAS that this driver can run (" + why + "install it, for example by `pip install nvidia-cublas" +
         (driver_version >= kDriver13 ? "" : "-cu12") + "`, or set SAFEDELTA_CUDA_LIB_DIR to its folder)";
}

}  // namespace sd
