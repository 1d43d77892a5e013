/* A driver of three NVIDIA GPUs for nvidia-ml-py: the second is divided into MIG slices, and one place of it is empty. */
#include <string.h>

typedef long device;

enum { NOT_SUPPORTED = 3, NOT_FOUND = 6, SLICES = 100 };

int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int error) { return "an error of the stub"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 3;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *handle) {
    *handle = index + 1;
    return 0;
}

int nvmlDeviceGetName(device handle, char *name, unsigned length) {
    strncpy(name, "NVIDIA A100-SXM4-40GB", length);
    return 0;
}

int nvmlDeviceGetUUID(device handle, char *uuid, unsigned length) {
    strncpy(uuid, handle >= SLICES ? "MIG-0" : "GPU-0", length);
    uuid[4] += handle >= SLICES ? handle - SLICES : handle - 1;
    return 0;
}

int nvmlDeviceGetMigMode(device handle, unsigned *current, unsigned *pending) {
    *current = *pending = handle == 2;
    return handle == 3 ? NOT_SUPPORTED : 0;
}

int nvmlDeviceGetMaxMigDeviceCount(device handle, unsigned *count) {
    *count = 3;
    return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device handle, unsigned index, device *slice) {
    *slice = SLICES + index;
    return index == 1 ? NOT_FOUND : 0;
}
