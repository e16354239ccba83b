/*
 * Stands between a process and its disk: loaded before the C library, it numbers every call that makes something durable or changes a file
 * below one folder, and at one number it ends the process, or lets the call fail. It also keeps what was written and not yet synced,
 * so that whoever tests can take it away again, as a power cut does.
 *
 *   DISK_ROOT    the folder, as the system names it; without it nothing is touched
 *   DISK_CALLS   which calls are numbered: any of `sync`, `write`, `name` (creating, renaming, removing, truncating)
 *   DISK_PATHS   only files in whose path below the folder one of these words stands; separated by commas, empty for all
 *   DISK_AT      the number of the call that fares badly, from 1; 0 for none
 *   DISK_FAULT   `kill` before it, `torn` in the middle of it, `EIO` or `ENOSPC` instead of it, `EIO+` and `ENOSPC+` from then on
 *   DISK_LIES    files in whose path this word stands are not synced, whatever is said; empty for none
 *   DISK_LOG     where each numbered call is written down, in a line `number call path`
 *   DISK_LOST    where what was not synced is written down at the end; empty for not at all
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* A change of a file that no sync has made durable. */
struct change {
    struct change *next; /* the one before */
    ino_t inode;
    uint32_t kind; /* 0 written, 1 truncated: `offset` is the new length */
    uint64_t offset, old_size, old_len, new_len, order;
    char *bytes; /* the old ones, then the new ones */
};

/* An open descriptor of each file that was changed: it may be renamed meanwhile. */
struct seen {
    struct seen *next;
    ino_t inode;
    int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ready, log_fd = -1, lost_fd = -1, error_number, is_sticky;
static char root[PATH_MAX];
static size_t root_len;
static const char *calls, *paths, *fault, *lies;
static unsigned long at, count;
static uint64_t order;
static struct change *changes;
static struct seen *files;

static int open_for_us(const char *name) {
    const char *path = getenv(name);
    if (!path || !*path) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Under the lock. */
static void prepare(void) {
    if (ready) return;
    ready = 1;
    const char *folder = getenv("DISK_ROOT");
    if (!folder) return;
    root_len = strlen(folder);
    memcpy(root, folder, root_len + 1);
    calls = getenv("DISK_CALLS") ? getenv("DISK_CALLS") : "";
    paths = getenv("DISK_PATHS") ? getenv("DISK_PATHS") : "";
    fault = getenv("DISK_FAULT") ? getenv("DISK_FAULT") : "";
    lies = getenv("DISK_LIES") ? getenv("DISK_LIES") : "";
    at = getenv("DISK_AT") ? strtoul(getenv("DISK_AT"), NULL, 10) : 0;
    error_number = strncmp(fault, "EIO", 3) == 0 ? EIO : strncmp(fault, "ENOSPC", 6) == 0 ? ENOSPC : 0;
    is_sticky = *fault && fault[strlen(fault) - 1] == '+';
    log_fd = open_for_us("DISK_LOG");
    lost_fd = open_for_us("DISK_LOST");
}

static void put(int fd, const void *bytes, size_t len) {
    const char *from = bytes;
    while (len > 0) {
        long done = syscall(SYS_write, fd, from, len);
        if (done <= 0) abort();
        from += done;
        len -= (size_t)done;
    }
}

/* What stands below the folder, or NULL for a path elsewhere. */
static const char *below(const char *path) {
    if (root_len == 0 || strncmp(path, root, root_len) != 0 || path[root_len] != '/') return NULL;
    return path + root_len + 1;
}

static const char *path_of(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, into, PATH_MAX - 1);
    if (len <= 0) return NULL;
    into[len] = 0;
    return below(into);
}

static int is_meant(const char *kind, const char *path) {
    if (!strstr(calls, kind)) return 0;
    if (!*paths) return 1;
    char words[1024];
    snprintf(words, sizeof words, "%s", paths);
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (strstr(path, word)) return 1;
    return 0;
}

/* Writes down what was not synced: what was changed first comes first. */
static void tell_lost(ino_t only, int all) {
    if (lost_fd < 0) return;
    struct change *reversed = NULL;
    while (changes) {
        struct change *change = changes;
        changes = change->next;
        change->next = reversed;
        reversed = change;
    }
    for (struct change *change = reversed; change; change = change->next) {
        char path[PATH_MAX];
        const char *name = NULL;
        for (struct seen *file = files; file; file = file->next)
            if (file->inode == change->inode) name = path_of(file->fd, path);
        if (!name || !(all || change->inode == only)) continue;
        uint64_t head[6] = {strlen(path), change->kind, change->offset, change->old_size, change->old_len, change->new_len};
        put(lost_fd, head, sizeof head);
        put(lost_fd, path, strlen(path));
        put(lost_fd, change->bytes, change->old_len + change->new_len);
    }
}

static void die(void) {
    tell_lost(0, 1);
    /* The lock stays taken: whoever writes or syncs now never comes back from it. */
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Numbers a call. 0 goes on, else the error; `torn` is set where only a part shall be written. Under the lock. */
static int number(const char *kind, const char *call, const char *path, int *torn) {
    if (!is_meant(kind, path)) return 0;
    count++;
    if (log_fd >= 0) {
        char line[PATH_MAX + 64];
        int len = snprintf(line, sizeof line, "%lu %s %s\n", count, call, path);
        put(log_fd, line, (size_t)len);
    }
    if (at == 0 || count < at || (count > at && !is_sticky)) return 0;
    if (error_number) return error_number;
    if (torn && strcmp(fault, "torn") == 0) {
        *torn = 1;
        return 0;
    }
    die();
    return 0;
}

static void remember(int fd, uint32_t kind, uint64_t offset, const struct iovec *parts, int n) {
    struct stat now;
    if (lost_fd < 0 || fstat(fd, &now) != 0 || !S_ISREG(now.st_mode)) return;
    struct seen *file = files;
    while (file && file->inode != now.st_ino) file = file->next;
    if (!file) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        /* Never closed: closing it would give up the locks that the process has on the file. */
        int own = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC, 0);
        if (own < 0) return;
        file = malloc(sizeof *file);
        *file = (struct seen){files, now.st_ino, own};
        files = file;
    }
    uint64_t size = (uint64_t)now.st_size, len = 0, had;
    for (int i = 0; i < n; i++) len += parts[i].iov_len;
    uint64_t end = kind == 1 ? size : offset + len;
    had = offset >= size ? 0 : (end < size ? end : size) - offset;
    struct change *change = malloc(sizeof *change);
    *change = (struct change){changes, now.st_ino, kind, offset, size, had, len, order++, malloc(had + len + 1)};
    if (had && syscall(SYS_pread64, file->fd, change->bytes, had, offset) != (long)had) abort();
    char *to = change->bytes + had;
    for (int i = 0; i < n; to += parts[i].iov_len, i++) memcpy(to, parts[i].iov_base, parts[i].iov_len);
    changes = change;
}

static void forget(ino_t inode, uint64_t before) {
    for (struct change **place = &changes; *place;) {
        struct change *change = *place;
        if (change->inode == inode && change->order < before) {
            *place = change->next;
            free(change->bytes);
            free(change);
        } else {
            place = &change->next;
        }
    }
}

static int sync_file(const char *call, long real, int fd) {
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    prepare();
    const char *name = root_len ? path_of(fd, path) : NULL;
    if (!name) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(real, fd);
    }
    struct stat now;
    int known = fstat(fd, &now) == 0;
    int error = number("sync", call, name, NULL);
    uint64_t before = order;
    if (error) {
        /* As systems do: what could not be written is not dirty any more, and the next sync says that all is well. */
        if (known) {
            tell_lost(now.st_ino, 0);
            forget(now.st_ino, before);
        }
        pthread_mutex_unlock(&lock);
        errno = error;
        return -1;
    }
    pthread_mutex_unlock(&lock);
    int done = (int)syscall(real, fd);
    int why = errno;
    pthread_mutex_lock(&lock);
    if (done == 0 && known && !(*lies && strstr(name, lies))) forget(now.st_ino, before);
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

int fsync(int fd) { return sync_file("fsync", SYS_fsync, fd); }
int fdatasync(int fd) { return sync_file("fdatasync", SYS_fdatasync, fd); }

/* `offset` is negative for the place where the descriptor is. */
static ssize_t write_file(const char *call, int fd, const struct iovec *parts, int n, off_t offset) {
    char path[PATH_MAX];
    ssize_t done;
    int torn = 0;
    pthread_mutex_lock(&lock);
    prepare();
    const char *name = root_len ? path_of(fd, path) : NULL;
    if (name) {
        int error = number("write", call, name, &torn);
        if (error) {
            pthread_mutex_unlock(&lock);
            errno = error;
            return -1;
        }
        off_t to = offset;
        if (to < 0) {
            struct stat now;
            int flags = fcntl(fd, F_GETFL);
            to = (flags & O_APPEND) && fstat(fd, &now) == 0 ? now.st_size : lseek(fd, 0, SEEK_CUR);
        }
        if (to >= 0) remember(fd, 0, (uint64_t)to, parts, n);
    }
    if (torn) {
        struct iovec half = {parts[0].iov_base, parts[0].iov_len / 2};
        if (offset < 0) syscall(SYS_writev, fd, &half, 1);
        else syscall(SYS_pwrite64, fd, half.iov_base, half.iov_len, offset);
        die();
    }
    /* What is not below the folder may block, and must not hold the others up. */
    if (!name) pthread_mutex_unlock(&lock);
    if (offset < 0) done = syscall(SYS_writev, fd, parts, n);
    else if (n == 1) done = syscall(SYS_pwrite64, fd, parts[0].iov_base, parts[0].iov_len, offset);
    else done = syscall(SYS_pwritev, fd, parts, n, offset, 0);
    if (name) {
        int why = errno;
        pthread_mutex_unlock(&lock);
        errno = why;
    }
    return done;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    struct iovec part = {(void *)bytes, len};
    return write_file("write", fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int n) { return write_file("writev", fd, parts, n, -1); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    struct iovec part = {(void *)bytes, len};
    return write_file("pwrite", fd, &part, 1, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) { return pwrite64(fd, bytes, len, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset) {
    return write_file("pwritev", fd, parts, n, offset);
}
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset) { return pwritev64(fd, parts, n, offset); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    prepare();
    const char *name = root_len ? path_of(fd, path) : NULL;
    int error = name ? number("name", "ftruncate", name, NULL) : 0;
    if (name && !error) remember(fd, 1, (uint64_t)length, NULL, 0);
    int done = error ? -1 : (int)syscall(SYS_ftruncate, fd, length);
    int why = error ? error : errno;
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* Numbers a change of names; the error, or 0. */
static int change_name(const char *call, const char *path) {
    pthread_mutex_lock(&lock);
    prepare();
    const char *name = below(path);
    int error = name ? number("name", call, name, NULL) : 0;
    pthread_mutex_unlock(&lock);
    errno = error;
    return error;
}

int rename(const char *from, const char *to) {
    if (change_name("rename", to)) return -1;
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}
int unlink(const char *path) {
    if (change_name("unlink", path)) return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static int open_file(int folder, const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) && syscall(SYS_faccessat, folder, path, F_OK) != 0 && change_name("create", path)) return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}
#define MODE(last) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_file(folder, path, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_file(folder, path, flags, mode);
}
