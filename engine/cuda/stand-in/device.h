/* The stand-in devices: memory that is poisoned, and streams whose work is done as late as may be. */
#ifndef SD_STANDIN_DEVICE_H
#define SD_STANDIN_DEVICE_H

#include <cstddef>
#include <functional>

namespace standin {

struct Stream;

/** Do `work` in the stream's order; it gives 0 or an error that later calls return. False: the stream is not of this thread's device. */
bool enqueue(Stream *stream, std::function<int()> work);
/** Do `bytes` at `address` lie inside one allocation of this thread's device, the one whose context is current? */
bool on_device(const void *address, size_t bytes);

}  // namespace standin

#endif
