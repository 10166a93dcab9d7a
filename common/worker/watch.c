/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - --watch, for developing: the worker runs as a child, and when one of its modules, its
 * YAML or a file in DIR changes, it is drained as for SIGTERM and started again with what is new.
 *
 *   up ──change, good──► stopping ──it ended──► up
 *    │ it ended by itself    │ the files are broken by now
 *    ▼                       ▼
 *   down ──change, good──► up             up, down ──change, broken──► as it was, with a message
 *
 * Whether a change is good is tried first, in a process of its own that reads the configuration and
 * loads the modules: the running worker is not stopped for files that do not load. The child is
 * a fresh program each time, so a crash of it, or of a library, ends nothing here. This process
 * only waits for files and signals, and passes the latter on.
 *
 * Folders are watched, not files: a linker or an editor puts a new file in the old one's place.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/exit_code.h"
#include "worker/worker.h"

#define FOLDERS_MAX 256
#define DEPTH_MAX 8
#define SETTLE_MS 200 /* after the last change: a build writes several files */
#define TRY_MS 10000  /* for modules to load in */
#define LOOK_MS 100   /* meanwhile: were we told to stop? */
#define FILE_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO)

struct folder {
    int wd;
    bool whole; /* DIR, or below it: each file matters; else only those of the worker */
};

/* One of those. */
struct file {
    int wd; /* of its folder */
    char *name;
};

enum child_state { CHILD_DOWN, CHILD_UP, CHILD_STOPPING };

struct watch {
    const struct flo_role_spec *role;
    const struct flo_module *module;
    const char *program, *dir;
    int argc;
    char **argv; /* without --watch; ends with NULL */
    char exe[4096];
    sigset_t before; /* the signal mask to give to children */
    int signals, files;
    struct folder folders[FOLDERS_MAX];
    size_t folder_count;
    struct file *own;
    size_t own_count;
    enum child_state state;
    pid_t child;
    bool told_to_stop, changed;
    char change[256]; /* the file */
};

/* ---- which files ---- */

static void forget_files(struct watch *w)
{
    for (size_t i = 0; i < w->folder_count; i++)
        inotify_rm_watch(w->files, w->folders[i].wd);
    for (size_t i = 0; i < w->own_count; i++)
        flo_free(w->own[i].name);
    flo_free(w->own);
    w->own = NULL;
    w->folder_count = w->own_count = 0;
}

/* Its descriptor; -1 when it cannot be watched, which is said. */
static int add_folder(struct watch *w, const char *path, bool whole)
{
    int wd = inotify_add_watch(w->files, path, FILE_EVENTS | IN_ONLYDIR);

    for (size_t i = 0; i < w->folder_count && wd >= 0; i++) {
        if (w->folders[i].wd == wd) {
            w->folders[i].whole |= whole;
            return wd;
        }
    }
    if (wd >= 0 && w->folder_count < FOLDERS_MAX) {
        w->folders[w->folder_count++] = (struct folder){.wd = wd, .whole = whole};
        return wd;
    }
    flo_log(FLO_LOG_WARN, "watch.folder", "A folder is not watched", "folder", path, "reason",
            wd < 0 ? strerror(errno) : "too many folders", NULL);
    return -1;
}

/* path and the folders below it, hidden ones left out. */
static void add_tree(struct watch *w, const char *path, int depth)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    add_folder(w, path, true);
    while (dir && depth < DEPTH_MAX && (entry = readdir(dir))) {
        char *below;
        if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
            continue;
        below = flo_asprintf("%s/%s", path, entry->d_name);
        if (below)
            add_tree(w, below, depth + 1);
        flo_free(below);
    }
    if (dir)
        closedir(dir);
}

/* One file of the worker's own. */
static void add_file(struct watch *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? flo_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : flo_strdup(".");
    char *name = flo_strdup(slash ? slash + 1 : path);
    struct file *grown = flo_reallocarray(w->own, w->own_count + 1, sizeof *grown);
    int wd = folder ? add_folder(w, folder, false) : -1;

    if (grown)
        w->own = grown;
    if (grown && name && wd >= 0) {
        w->own[w->own_count++] = (struct file){.wd = wd, .name = name};
        name = NULL;
    }
    flo_free(name);
    flo_free(folder);
}

/* Look up the files anew; false, with a line on stderr, when the configuration does not load: then
 * those known before go on to be watched. */
static bool find_files(struct watch *w)
{
    struct flo_role_config *config = NULL;
    struct flo_role_mode mode;
    int exit_code = 0;

    if (!flo_role_config_main(w->role->role, w->argc, w->argv, &mode, &config, &exit_code))
        return false;
    flo_log_open((enum flo_log_level)config->log.level, (enum flo_log_format)config->log.format,
                 w->program);
    forget_files(w);
    if (config->config.file)
        add_file(w, config->config.file);
    for (size_t i = 0; i < config->modules.count; i++)
        add_file(w, flo_role_config_module(config, i)->path);
    if (w->module)
        add_file(w, w->exe);
    if (w->dir)
        add_tree(w, w->dir, 0);
    flo_role_config_destroy(&config);
    return true;
}

static bool matters(const struct watch *w, const struct inotify_event *event)
{
    if (event->len == 0 || event->name[0] == '.' || (event->mask & IN_ISDIR) ||
        event->name[strlen(event->name) - 1] == '~')
        return false;
    for (size_t i = 0; i < w->own_count; i++)
        if (w->own[i].wd == event->wd && strcmp(w->own[i].name, event->name) == 0)
            return true;
    for (size_t i = 0; i < w->folder_count; i++)
        if (w->folders[i].wd == event->wd)
            return w->folders[i].whole;
    return false;
}

static void read_changes(struct watch *w)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    ssize_t n;

    while ((n = read(w->files, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(buffer.bytes + at);
            if (matters(w, event)) {
                w->changed = true;
                snprintf(w->change, sizeof w->change, "%.255s", event->name);
            }
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

/* ---- the child ---- */

/* A child that takes the default way of signals and ends with us. */
static pid_t fork_child(const struct watch *w)
{
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    setpgid(0, 0); /* Ctrl-C comes to us, and we pass it on once */
    sigprocmask(SIG_SETMASK, &w->before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(FLO_EXIT_INTERNAL);
    return 0;
}

static void start_child(struct watch *w)
{
    w->child = fork_child(w);
    if (w->child == 0) {
        execv(w->exe, w->argv);
        fprintf(stderr, "%s: cannot run %s: %s\n", w->program, w->exe, strerror(errno));
        _exit(FLO_EXIT_INTERNAL);
    }
    w->state = w->child > 0 ? CHILD_UP : CHILD_DOWN;
}

static bool stop_is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* The process that tries the files: its wait status, in time. NULL, or why it said nothing itself.
 * A module may do anything when it is loaded: hang, or die. */
static const char *wait_for_trial(pid_t pid, int *out_status)
{
    struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    const char *why = NULL;

    for (int ms = 0; !why && poll(&ended, 1, LOOK_MS) == 0; ms += LOOK_MS) {
        if (stop_is_pending())
            why = "given up: the worker is to stop";
        else if (ms >= TRY_MS)
            why = "the modules do not finish loading";
    }
    if (why)
        kill(pid, SIGKILL);
    while (waitpid(pid, out_status, 0) < 0 && errno == EINTR)
        ;
    if (ended.fd >= 0)
        close(ended.fd);
    return why || !WIFSIGNALED(*out_status) ? why : strsignal(WTERMSIG(*out_status));
}

/* Does the worker load as its files are now? Says on stderr why not. */
static bool try_files(struct watch *w)
{
    struct flo_role_config *config = NULL;
    struct flo_worker *worker = NULL;
    struct flo_role_mode mode;
    struct flo_err err = {0};
    const char *why;
    int status = 0, rc;
    pid_t pid;

    if (!find_files(w))
        return false;
    pid = fork_child(w);
    if (pid == 0) {
        if (!flo_role_config_main(w->role->role, w->argc, w->argv, &mode, &config, &rc))
            _exit(rc);
        rc = flo_worker_new(w->role, &config, w->module, &worker, &err);
        if (rc)
            fprintf(stderr, "%s: %s\n", w->program, err.message);
        _exit(rc ? flo_exit_code(rc) : 0);
    }
    why = pid > 0 ? wait_for_trial(pid, &status) : strerror(errno);
    if (why)
        fprintf(stderr, "%s: trying the modules: %s\n", w->program, why);
    return !why && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void act_on_change(struct watch *w)
{
    bool good = try_files(w);

    w->changed = false;
    if (!good) {
        flo_log(FLO_LOG_ERROR, "watch.broken",
                w->state == CHILD_UP ? "A change does not load; the worker goes on as it was"
                                     : "A change does not load; waiting for the next one",
                "file", w->change, NULL);
        return;
    }
    flo_log(FLO_LOG_INFO, "watch.changed", "A file changed; the worker starts over", "file",
            w->change, NULL);
    if (w->state == CHILD_UP) {
        w->state = CHILD_STOPPING;
        kill(w->child, SIGTERM);
    } else {
        start_child(w);
    }
}

/* The child has ended. True: so do we, with *out_exit. */
static bool act_on_end(struct watch *w, int status, int *out_exit)
{
    bool meant = w->state == CHILD_STOPPING;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

    w->state = CHILD_DOWN;
    if (w->told_to_stop) {
        *out_exit = code;
        return true;
    }
    if (!meant)
        flo_log(FLO_LOG_ERROR, "watch.ended", "The worker ended; waiting for a change of its files",
                "#exit_code", FLO_NUM(code), NULL);
    else if (!w->changed || try_files(w)) /* what changed while it stopped may be broken */
        start_child(w);
    else
        flo_log(FLO_LOG_ERROR, "watch.broken", "A change does not load; waiting for the next one",
                "file", w->change, NULL);
    w->changed = false;
    return false;
}

/* ---- the loop ---- */

/* True: end with *out_exit. */
static bool read_signals(struct watch *w, int *out_exit)
{
    struct signalfd_siginfo info;
    int status;

    while (read(w->signals, &info, sizeof info) == sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD) {
            if (w->state != CHILD_DOWN && waitpid(w->child, &status, WNOHANG) == w->child &&
                act_on_end(w, status, out_exit))
                return true;
            continue;
        }
        if (number == SIGTERM || number == SIGINT)
            w->told_to_stop = true;
        if (w->state != CHILD_DOWN) {
            kill(w->child, number);
        } else if (w->told_to_stop) {
            *out_exit = 0;
            return true;
        }
    }
    return false;
}

static int run(struct watch *w)
{
    struct pollfd ready[] = {{.fd = w->signals, .events = POLLIN},
                             {.fd = w->files, .events = POLLIN}};
    int exit_code = 0;

    if (find_files(w))
        start_child(w);
    for (;;) {
        bool settling = w->changed && w->state != CHILD_STOPPING;
        int n = poll(ready, 2, settling ? SETTLE_MS : -1);
        if (n == 0)
            act_on_change(w);
        if (n > 0 && read_signals(w, &exit_code))
            return exit_code;
        read_changes(w);
    }
}

/* argv without --watch and what belongs to it; NULL without memory. */
static char **without_watch(int argc, char **argv, int *out_argc)
{
    char **copy = flo_calloc((size_t)argc + 1, sizeof *copy);
    int n = 0;

    for (int i = 0; copy && i < argc; i++) {
        if (strncmp(argv[i], "--watch=", 8) == 0)
            continue;
        if (strcmp(argv[i], "--watch") != 0)
            copy[n++] = argv[i];
        else if (i + 1 < argc && argv[i + 1][0] != '-')
            i++;
    }
    *out_argc = n;
    return copy;
}

int flo_watch_run(const struct flo_role_spec *role, const struct flo_module *module, int argc,
                  char **argv, const char *dir)
{
    struct watch w = {.role = role, .module = module, .dir = dir, .signals = -1, .files = -1};
    sigset_t signals;
    ssize_t n = readlink("/proc/self/exe", w.exe, sizeof w.exe - 1);
    int exit_code = FLO_EXIT_SYSTEM;

    w.program = flo_role_program(role->role);
    w.argv = without_watch(argc, argv, &w.argc);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTSTP);
    sigaddset(&signals, SIGCONT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &w.before);
    w.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    w.files = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (n <= 0 || !w.argv || w.signals < 0 || w.files < 0)
        fprintf(stderr, "%s: cannot watch files: %s\n", w.program, strerror(errno));
    else
        exit_code = run(&w);
    forget_files(&w);
    if (w.signals >= 0)
        close(w.signals);
    if (w.files >= 0)
        close(w.files);
    flo_free(w.argv);
    return exit_code;
}
