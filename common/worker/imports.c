/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imports.c - a loaded module's undefined symbols; see imports.h.
 *
 * They are read where the loader has put them, from the module's dynamic section: it has checked
 * the file already, and a file without section headers has them, too. How many symbols there are
 * says the hash table: the old kind directly; of the GNU kind, which leaves undefined symbols out,
 * the number of those that it begins behind.
 */
#include "worker/imports.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define NOW "flo_workflow_now_ms"
#define RANDOM "flo_workflow_random"
#define UUID "flo_workflow_uuid"
#define SLEEP "flo_sleep"
#define INPUT "the input, or an activity"
#define ACTIVITY "an activity"
#define SPAWN "flo_spawn"
#define UTC "gmtime_r and timegm: time zones differ between machines"

/* Names end at '|'. Spellings that the C library's headers give calls (open64, __read_chk) are
 * found through theirs. */
static const struct {
    const char *names, *instead;
} forbidden[] = {
    {"|time|clock|clock_gettime|gettimeofday|timespec_get|ftime|times|clock_getres|", NOW},
    {"|localtime|localtime_r|mktime|ctime|ctime_r|tzset|", UTC},
    {"|rand|rand_r|random|random_r|srand|srandom|drand48|erand48|lrand48|nrand48|mrand48|jrand48|"
     "srand48|getrandom|getentropy|arc4random|arc4random_buf|arc4random_uniform|",
     RANDOM},
    {"|uuid_generate|uuid_generate_random|uuid_generate_time|", UUID},
    {"|sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep|pause|alarm|setitimer|timer_create|"
     "timerfd_create|",
     SLEEP},
    {"|getenv|secure_getenv|setenv|putenv|environ|__environ|gethostname|uname|sysinfo|sysconf|"
     "getpid|getppid|gettid|getuid|geteuid|getlogin|getcwd|pthread_self|thrd_current|sched_getcpu|",
     INPUT},
    {"|open|openat|creat|fopen|freopen|fdopen|tmpfile|mkstemp|mkostemp|read|write|pread|pwrite|"
     "readv|writev|fread|fgets|fgetc|getc|getline|fscanf|access|stat|fstat|lstat|statx|opendir|"
     "readdir|scandir|unlink|rename|remove|mkdir|rmdir|mmap|fsync|ioctl|fcntl|pipe|pipe2|",
     ACTIVITY},
    {"|socket|socketpair|connect|bind|listen|accept|accept4|send|sendto|sendmsg|recv|recvfrom|"
     "recvmsg|getaddrinfo|gethostbyname|poll|ppoll|select|pselect|epoll_create|epoll_create1|"
     "epoll_wait|eventfd|",
     ACTIVITY},
    {"|system|popen|fork|vfork|clone|execv|execve|execvp|execl|execlp|posix_spawn|posix_spawnp|"
     "wait|waitpid|kill|raise|signal|sigaction|syscall|dlopen|exit|_exit|quick_exit|",
     ACTIVITY},
    {"|pthread_create|thrd_create|pthread_join|pthread_cond_wait|pthread_cond_timedwait|cnd_wait|"
     "sem_wait|sem_timedwait|pthread_barrier_wait|",
     SPAWN},
};

/* Is |name| in names? */
static bool is_listed(const char *names, const char *name, size_t len)
{
    for (const char *at = names; (at = strstr(at, name)); at++)
        if (at > names && at[-1] == '|' && at[len] == '|')
            return true;
    return false;
}

/* open64 and __open_2 as open, __read_chk as read, __isoc99_fscanf as fscanf; into out. */
static void plain_name(const char *name, char *out, size_t size)
{
    static const char *const prefixes[] = {"__isoc99_", "__isoc23_", "__"};
    static const char *const suffixes[] = {"_chk", "_2", "64"};
    const char *from = name;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && from == name; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            from += strlen(prefixes[i]);
    size_t len = strnlen(from, size - 1);
    memcpy(out, from, len);
    out[len] = '\0';
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t tail = strlen(suffixes[i]);
        if (len > tail && strcmp(out + len - tail, suffixes[i]) == 0)
            out[len -= tail] = '\0';
    }
}

const char *flo_imports_instead(const char *name)
{
    char plain[64];
    plain_name(name, plain, sizeof plain);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (is_listed(forbidden[i].names, name, strlen(name)) ||
            is_listed(forbidden[i].names, plain, strlen(plain)))
            return forbidden[i].instead;
    return NULL;
}

struct symbols {
    const ElfW(Sym) * table;
    const char *names;
    size_t count;
};

#ifdef FLO_COVERAGE /* the counters' own code, in every module, writes files */
#define LOOKED_AT 0
#else
#define LOOKED_AT 1
#endif

/* False: the module has no table that says. */
static bool find_symbols(void *handle, struct symbols *out)
{
    struct link_map *map = NULL;
    const uint32_t *hash = NULL, *gnu_hash = NULL;
    *out = (struct symbols){0};
    if (!LOOKED_AT || dlinfo(handle, RTLD_DI_LINKMAP, &map) || !map)
        return false;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        uintptr_t at = entry->d_un.d_ptr;
        at = at < map->l_addr ? at + map->l_addr : at; /* not every loader relocates these */
        if (entry->d_tag == DT_SYMTAB)
            out->table = (const ElfW(Sym) *)at;
        else if (entry->d_tag == DT_STRTAB)
            out->names = (const char *)at;
        else if (entry->d_tag == DT_HASH)
            hash = (const uint32_t *)at;
        else if (entry->d_tag == DT_GNU_HASH)
            gnu_hash = (const uint32_t *)at;
    }
    out->count = hash ? hash[1] : gnu_hash ? gnu_hash[1] : 0;
    return out->table && out->names && (hash || gnu_hash);
}

int flo_imports_check(void *handle, const char *path, bool mixed, struct flo_err *err)
{
    struct symbols symbols;
    struct flo_buf found;
    size_t count = 0;
    if (!find_symbols(handle, &symbols))
        return 0;
    flo_buf_init(&found, 0);
    for (size_t i = 1; i < symbols.count; i++) {
        const char *name = symbols.names + symbols.table[i].st_name;
        const char *instead =
            symbols.table[i].st_shndx == SHN_UNDEF ? flo_imports_instead(name) : NULL;
        if (instead && count++ < 3)
            (void)!flo_buf_printf(&found, "%s%.60s (instead: %s)", found.len ? ", " : "", name,
                                  instead);
    }
    if (count > 3)
        (void)!flo_buf_printf(&found, " and %zu more", count - 3);
    int rc = count == 0 ? 0
                        : flo_fail(err, FLO_ECONFIG,
                                   "module %s has workflows and imports what no workflow may use: "
                                   "%s%s",
                                   path, flo_buf_cstr(&found),
                                   mixed ? "; if only its activities do, put its workflows into a "
                                           "module of their own, or set unchecked: true for it"
                                         : "");
    flo_buf_fini(&found);
    return rc;
}
