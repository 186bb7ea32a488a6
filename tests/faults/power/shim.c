/* Writes down, in their order, the calls that change files below a directory (LD_PRELOAD).
 *
 *   POWER_ROOT      absolute path: only what lies below it is recorded
 *   POWER_RECORD    the record, appended to; not below POWER_ROOT
 *   POWER_NO_SYNC   optional fnmatch pattern: a sync of such a path does nothing (a planted fault)
 *
 * One row a call, little-endian: u8 kind, i32 descriptor, i64 number, u32 length of path,
 * u32 length of data, path, data. A sync is two rows, its begin and its end: what was written
 * in between is not known to be durable. Rows are in the order of the effects: one mutex is held
 * over each call and its row (not over the disk's work in a sync).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 4096
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum {
    OPEN = 'o', CREATE = 'c', TRUNCATE = 't', WRITE = 'w', SYNC_BEGIN = 's', SYNC_END = 'e',
    RENAME = 'r', UNLINK = 'u', MKDIR = 'm', RMDIR = 'd', CLOSE = 'x', MAP = 'p', START = 'b',
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char watched[MAX_DESCRIPTORS];
static const char *root;
static size_t root_length;
static int record = -1;

static void row(char kind, int fd, int64_t number, const char *path, const void *data, size_t size)
{
    char head[21];
    int32_t descriptor = fd;
    uint32_t path_length = path ? (uint32_t)strlen(path) : 0, data_length = (uint32_t)size;
    head[0] = kind;
    memcpy(head + 1, &descriptor, 4);
    memcpy(head + 5, &number, 8);
    memcpy(head + 13, &path_length, 4);
    memcpy(head + 17, &data_length, 4);
    struct iovec parts[3] = {{head, sizeof head}, {(void *)path, path_length}, {(void *)data, size}};
    if (syscall(SYS_writev, record, parts, 3) != (long)(sizeof head + path_length + size))
        abort();
}

__attribute__((constructor)) static void start(void)
{
    root = getenv("POWER_ROOT");
    const char *path = getenv("POWER_RECORD");
    if (root == NULL || path == NULL)
        return;
    root_length = strlen(root);
    record = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (record < 0)
        abort();
    row(START, -1, 0, NULL, NULL, 0);
}

static int below_root(const char *path)
{
    return record >= 0 && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

/* The absolute path of a name relative to a directory's descriptor. */
static void absolute(int directory, const char *name, char out[PATH_MAX])
{
    char base[PATH_MAX / 2] = "", link[64];
    if (name[0] != '/') {
        if (directory == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 2);
        base[length < 0 ? 0 : length] = 0;
        strcat(base, "/");
    }
    snprintf(out, PATH_MAX, "%s%s", base, name);
}

static int is_watched(int fd)
{
    return fd >= 0 && fd < MAX_DESCRIPTORS && watched[fd];
}

static int open_recorded(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    absolute(directory, name, path);
    if (!below_root(path))
        return NEXT(openat)(directory, name, flags, mode);
    pthread_mutex_lock(&mutex);
    int existed = access(path, F_OK) == 0;
    int fd = NEXT(openat)(directory, name, flags, mode);
    if (fd >= MAX_DESCRIPTORS)
        abort();
    if (fd >= 0) {
        watched[fd] = 1;
        row(existed ? OPEN : CREATE, fd, 0, path, NULL, 0);
        if (existed && (flags & O_TRUNC))
            row(TRUNCATE, fd, 0, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN_CALL(name) \
    int name(const char *path, int flags, ...) \
    { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = mode_of(flags, arguments); \
        va_end(arguments); \
        return open_recorded(AT_FDCWD, path, flags, mode); \
    }
#define OPENAT_CALL(name) \
    int name(int directory, const char *path, int flags, ...) \
    { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = mode_of(flags, arguments); \
        va_end(arguments); \
        return open_recorded(directory, path, flags, mode); \
    }
OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)
int __open_2(const char *path, int flags) { return open_recorded(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_recorded(AT_FDCWD, path, flags, 0); }

int close(int fd)
{
    if (!is_watched(fd))
        return NEXT(close)(fd);
    pthread_mutex_lock(&mutex);
    watched[fd] = 0;
    row(CLOSE, fd, 0, NULL, NULL, 0);
    int result = NEXT(close)(fd);
    pthread_mutex_unlock(&mutex);
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!is_watched(fd))
        return syscall(SYS_write, fd, data, size);
    pthread_mutex_lock(&mutex);
    ssize_t written = syscall(SYS_write, fd, data, size);
    if (written > 0)
        row(WRITE, fd, lseek(fd, 0, SEEK_CUR) - written, NULL, data, (size_t)written);
    pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    if (!is_watched(fd))
        return syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&mutex);
    ssize_t written = syscall(SYS_pwrite64, fd, data, size, offset);
    if (written > 0)
        row(WRITE, fd, offset, NULL, data, (size_t)written);
    pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
    if (!is_watched(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0)
        row(TRUNCATE, fd, size, NULL, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_recorded(int fd, long call)
{
    char link[64], path[PATH_MAX] = "";
    if (!is_watched(fd))
        return (int)syscall(call, fd);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0)
        abort();
    const char *skipped = getenv("POWER_NO_SYNC");
    if (skipped != NULL && fnmatch(skipped, path, 0) == 0)
        return 0;
    pthread_mutex_lock(&mutex);
    row(SYNC_BEGIN, fd, 0, path, NULL, 0);
    pthread_mutex_unlock(&mutex);
    int result = (int)syscall(call, fd);
    if (result == 0) {
        pthread_mutex_lock(&mutex);
        row(SYNC_END, fd, 0, NULL, NULL, 0);
        pthread_mutex_unlock(&mutex);
    }
    return result;
}

int fsync(int fd) { return sync_recorded(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_recorded(fd, SYS_fdatasync); }

static int rename_recorded(int old_directory, const char *old, int new_directory, const char *new)
{
    char from[PATH_MAX], to[PATH_MAX];
    absolute(old_directory, old, from);
    absolute(new_directory, new, to);
    pthread_mutex_lock(&mutex);
    int result = NEXT(renameat)(old_directory, old, new_directory, new);
    if (result == 0 && below_root(from))
        row(RENAME, -1, 0, from, to, strlen(to));
    pthread_mutex_unlock(&mutex);
    return result;
}

int rename(const char *old, const char *new) { return rename_recorded(AT_FDCWD, old, AT_FDCWD, new); }
int renameat(int from, const char *old, int to, const char *new)
{
    return rename_recorded(from, old, to, new);
}

static int unlink_recorded(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    absolute(directory, name, path);
    pthread_mutex_lock(&mutex);
    int result = NEXT(unlinkat)(directory, name, flags);
    if (result == 0 && below_root(path))
        row(flags & AT_REMOVEDIR ? RMDIR : UNLINK, -1, 0, path, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int unlink(const char *name) { return unlink_recorded(AT_FDCWD, name, 0); }
int unlinkat(int directory, const char *name, int flags) { return unlink_recorded(directory, name, flags); }
int rmdir(const char *name) { return unlink_recorded(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char *name)
{
    struct stat found;
    int directory = lstat(name, &found) == 0 && S_ISDIR(found.st_mode);
    return unlink_recorded(AT_FDCWD, name, directory ? AT_REMOVEDIR : 0);
}

static int mkdir_recorded(int directory, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    absolute(directory, name, path);
    pthread_mutex_lock(&mutex);
    int result = NEXT(mkdirat)(directory, name, mode);
    if (result == 0 && below_root(path))
        row(MKDIR, -1, 0, path, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int mkdir(const char *name, mode_t mode) { return mkdir_recorded(AT_FDCWD, name, mode); }
int mkdirat(int directory, const char *name, mode_t mode) { return mkdir_recorded(directory, name, mode); }

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    if (is_watched(fd) && (protection & PROT_WRITE) && (flags & MAP_SHARED)) {
        pthread_mutex_lock(&mutex);
        row(MAP, fd, 0, NULL, NULL, 0);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return mmap64(address, size, protection, flags, fd, offset);
}
