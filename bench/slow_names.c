/* Preloaded: every call on a name below SLOW_ROOT takes SLOW_NANOSECONDS, as on a file server that is far or busy. */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void take_time(const char *path) {
    const char *root = getenv("SLOW_ROOT"), *nanoseconds = getenv("SLOW_NANOSECONDS");
    if (root && nanoseconds && path && strncmp(path, root, strlen(root)) == 0) {
        struct timespec pause = {0, atol(nanoseconds)};
        nanosleep(&pause, NULL);
    }
}

#define SLOW(type, name, parameters, arguments, path)      \
    type name parameters {                                 \
        static type(*real) parameters;                     \
        if (!real) real = dlsym(RTLD_NEXT, #name);         \
        take_time(path);                                   \
        return real arguments;                             \
    }

SLOW(int, stat64, (const char *p, struct stat64 *s), (p, s), p)
SLOW(int, lstat64, (const char *p, struct stat64 *s), (p, s), p)
SLOW(int, fstatat64, (int d, const char *p, struct stat64 *s, int f), (d, p, s, f), p)
SLOW(int, access, (const char *p, int m), (p, m), p)
SLOW(int, mkdir, (const char *p, mode_t m), (p, m), p)
SLOW(int, unlink, (const char *p), (p), p)
SLOW(int, rename, (const char *p, const char *q), (p, q), p)
SLOW(int, link, (const char *p, const char *q), (p, q), p)
SLOW(int, linkat, (int d, const char *p, int e, const char *q, int f), (d, p, e, q, f), p)
SLOW(int, utimensat, (int d, const char *p, const struct timespec t[2], int f), (d, p, t, f), p)
SLOW(DIR *, opendir, (const char *p), (p), p)

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    take_time(path);
    return real(path, flags, mode);
}
