/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.c - `flotilla logs`: what the processes of the fleet on this machine said, merged by the
 * time at which it came, from STATE_DIR/logs. The fleet need not run.
 *
 * A process's log is NAME.log, before it NAME.log.1, and so on backwards. Following, a file that is
 * put aside is read to its end under its new name, then those after it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/output.h"
#include "cli/place.h"
#include "telemetry/line_log.h"

#define SOURCES_MAX 1024
#define LINES_DEFAULT 100
#define BLOCK 65536
#define ROTATED_MAX 99
#define LOOK_MS 1000 /* at the latest; the kernel tells of changes */

struct source {
    char name[FLO_LINE_NAME_MAX];
    char *path; /* of NAME.log */
    int fd;     /* of the file that is being read; -1: none */
    ino_t inode;
    struct flo_line_cutter cutter;
    struct logs *logs;
};

/* A line that waits for its turn. */
struct entry {
    char *text; /* stamp and all */
    size_t len;
    struct flo_logged_line line; /* points into text */
    const struct source *source;
    size_t order; /* as read: keeps lines of one moment in order */
};

struct logs {
    const struct cli_options *options;
    char dir[4150];
    struct source *sources[SOURCES_MAX];
    size_t source_count;
    struct entry *entries;
    size_t entry_count, entry_room;
    size_t width; /* of the widest name */
    bool colour;
    bool out_of_memory;
};

/* ---- lines ---- */

static void take_line(void *ctx, const char *text, size_t len)
{
    const struct source *source = ctx;
    struct logs *logs = source->logs;
    if (logs->entry_count == logs->entry_room) {
        size_t room = logs->entry_room ? logs->entry_room * 2 : 256;
        struct entry *grown = flo_reallocarray(logs->entries, room, sizeof *grown);
        if (!grown) {
            logs->out_of_memory = true;
            return;
        }
        logs->entries = grown;
        logs->entry_room = room;
    }
    struct entry *entry = &logs->entries[logs->entry_count];
    *entry = (struct entry){
        .text = flo_strndup(text, len), .len = len, .source = source, .order = logs->entry_count};
    if (!entry->text)
        logs->out_of_memory = true;
    else if (flo_line_log_parse(entry->text, len, &entry->line))
        logs->entry_count++;
    else
        flo_free(entry->text); /* none of the supervisor's lines */
}

static int by_time(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    const int order = memcmp(left->line.stamp, right->line.stamp, left->line.stamp_len);
    if (order)
        return order;
    return left->order < right->order ? -1 : 1;
}

/* NULL: it is not UTF-8. */
static json_t *entry_json(const struct entry *entry)
{
    return json_pack("{s:s, s:s%, s:s, s:s%}", "process", entry->source->name, "time",
                     entry->line.stamp, entry->line.stamp_len, "stream",
                     entry->line.is_stderr ? "stderr" : "stdout", "text", entry->line.text,
                     entry->line.len);
}

static void print_json(const struct entry *entry)
{
    json_t *json = entry_json(entry);
    for (char *at = entry->text; !json && *at; at++)
        if (*at & 0x80)
            *at = '?';
    json = json ? json : entry_json(entry);
    json_dumpf(json, stdout, JSON_COMPACT);
    json_decref(json);
    printf("\n");
}

static void print_entry(const struct logs *logs, const struct entry *entry)
{
    char prefix[FLO_LINE_NAME_MAX + 32];
    if (logs->options->json) {
        print_json(entry);
        return;
    }
    flo_line_prefix(entry->source->name, logs->width, logs->colour, prefix, sizeof prefix);
    printf("%s%.*s\n", prefix, (int)entry->line.len, entry->line.text);
}

/* Print the newest `most` of what was read, in order, and forget all. False: nobody reads us. */
static bool print_all(struct logs *logs, size_t most)
{
    if (logs->entry_count)
        qsort(logs->entries, logs->entry_count, sizeof *logs->entries, by_time);
    size_t from = logs->entry_count > most ? logs->entry_count - most : 0;
    for (size_t i = 0; i < logs->entry_count; i++) {
        if (i >= from)
            print_entry(logs, &logs->entries[i]);
        flo_free(logs->entries[i].text);
    }
    logs->entry_count = 0;
    return fflush(stdout) == 0;
}

/* ---- files ---- */

/* From fd's position to its end. */
static void read_on(struct source *source)
{
    char bytes[BLOCK];
    for (ssize_t n; (n = read(source->fd, bytes, sizeof bytes)) > 0;)
        if (flo_line_cutter_feed(&source->cutter, bytes, (size_t)n))
            source->logs->out_of_memory = true;
}

/* The place of the last `lines` lines, at least 0; *out_found: how many there are from there. */
static off_t last_lines(int fd, size_t lines, size_t *out_found)
{
    char bytes[BLOCK];
    off_t at = lseek(fd, 0, SEEK_END);
    *out_found = 0;
    while (at > 0) {
        const off_t from = at > BLOCK ? at - BLOCK : 0;
        const ssize_t n = pread(fd, bytes, (size_t)(at - from), from);
        if (n <= 0)
            return at;
        for (ssize_t i = n - 1; i >= 0; i--)
            if (bytes[i] == '\n' && (*out_found)++ == lines) {
                *out_found = lines;
                return from + i + 1;
            }
        at = from;
    }
    return 0;
}

static int open_rotated(const struct source *source, int number, struct stat *st)
{
    char *path = number ? flo_asprintf("%s.%d", source->path, number) : flo_strdup(source->path);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    flo_free(path);
    if (fd >= 0 && fstat(fd, st)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Read the last `lines` lines of a source, over its files; fd is left at the end of the newest. */
static void read_tail(struct source *source, size_t lines)
{
    int fds[ROTATED_MAX + 1], count = 0;
    struct stat st;
    size_t found = 0, here;
    while (count <= ROTATED_MAX && (count == 0 || found < lines)) {
        int fd = open_rotated(source, count, &st);
        if (fd < 0)
            break;
        if (count == 0)
            source->inode = st.st_ino;
        (void)lseek(fd, last_lines(fd, lines - found, &here), SEEK_SET);
        found += here;
        fds[count++] = fd;
    }
    while (count-- > 0) { /* the oldest first */
        source->fd = fds[count];
        read_on(source);
        if (count)
            close(fds[count]);
    }
}

/* What is new: the rest of the file that is read, then those that have come after it. */
static void read_news(struct source *source)
{
    struct stat st;
    if (source->fd >= 0)
        read_on(source);
    if (stat(source->path, &st) || (source->fd >= 0 && st.st_ino == source->inode))
        return;
    int number = 0;
    for (int n = 1; source->fd >= 0 && n <= ROTATED_MAX; n++) { /* where is ours by now? */
        int fd = open_rotated(source, n, &st);
        if (fd < 0)
            break;
        close(fd);
        if (st.st_ino == source->inode) {
            number = n - 1;
            break;
        }
    }
    for (; number >= 0; number--) {
        int fd = open_rotated(source, number, &st);
        if (fd < 0)
            continue;
        if (source->fd >= 0) {
            read_on(source); /* it was put aside after the last look */
            close(source->fd);
        }
        source->fd = fd;
        source->inode = st.st_ino;
        read_on(source);
    }
}

/* ---- sources ---- */

/* Does word name the process: itself, or the worker whose replica it is? */
static bool names(const char *word, const char *name)
{
    const size_t len = strlen(word);
    if (strcmp(word, name) == 0)
        return true;
    return strncmp(word, name, len) == 0 && name[len] == '-' && name[len + 1] &&
           name[len + 1 + strspn(name + len + 1, "0123456789")] == '\0';
}

static bool wanted(const struct logs *logs, const char *name)
{
    for (int i = 0; i < logs->options->operand_count; i++)
        if (names(logs->options->operands[i], name))
            return true;
    return logs->options->operand_count == 0;
}

static struct source *add_source(struct logs *logs, const char *name)
{
    struct source *source = flo_calloc(1, sizeof *source);
    if (source)
        source->path = flo_asprintf("%s/%s.log", logs->dir, name);
    if (!source || !source->path) {
        flo_free(source);
        logs->out_of_memory = true;
        return NULL;
    }
    source->fd = -1;
    source->logs = logs;
    source->cutter = (struct flo_line_cutter){.line = take_line, .ctx = source};
    snprintf(source->name, sizeof source->name, "%s", name);
    if (strlen(name) > logs->width)
        logs->width = strlen(name);
    logs->sources[logs->source_count++] = source;
    return source;
}

/* NAME.log of the folder that are wanted and not known yet; their last lines are read. */
static void find_sources(struct logs *logs, size_t lines)
{
    DIR *dir = opendir(logs->dir);
    struct dirent *file;
    while (dir && (file = readdir(dir)) && logs->source_count < SOURCES_MAX) {
        char name[FLO_LINE_NAME_MAX];
        const size_t len = strlen(file->d_name);
        bool known = false;
        if (len <= 4 || len - 4 >= sizeof name || strcmp(file->d_name + len - 4, ".log") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)len - 4, file->d_name);
        for (size_t i = 0; i < logs->source_count; i++)
            known = known || strcmp(logs->sources[i]->name, name) == 0;
        struct source *source = known || !wanted(logs, name) ? NULL : add_source(logs, name);
        if (source)
            read_tail(source, lines);
    }
    if (dir)
        closedir(dir);
}

static int check_operands(const struct logs *logs)
{
    int exit_code = 0;
    for (int i = 0; i < logs->options->operand_count; i++) {
        bool found = false;
        for (size_t k = 0; k < logs->source_count; k++)
            found = found || names(logs->options->operands[i], logs->sources[k]->name);
        if (found)
            continue;
        fprintf(stderr, "flotilla logs: there is no log of '%s' in %s\n",
                logs->options->operands[i], logs->dir);
        exit_code = FLO_EXIT_NO_INPUT;
    }
    return exit_code;
}

/* ---- the command ---- */

static int follow(struct logs *logs)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char bytes[4096];
    if (fd >= 0)
        (void)inotify_add_watch(fd, logs->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    do {
        struct pollfd news = {.fd = fd, .events = POLLIN};
        for (size_t i = 0; i < logs->source_count; i++)
            read_news(logs->sources[i]);
        find_sources(logs, SIZE_MAX);
        if (!print_all(logs, SIZE_MAX))
            break;
        (void)poll(&news, 1, LOOK_MS);
        while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
            ;
    } while (!logs->out_of_memory);
    if (fd >= 0)
        close(fd);
    return logs->out_of_memory ? FLO_EXIT_INTERNAL : 0;
}

int cli_logs(const struct cli_options *options)
{
    struct cli_place place;
    struct logs *logs = flo_calloc(1, sizeof *logs);
    const size_t lines = options->lines >= 0 ? (size_t)options->lines : LINES_DEFAULT;
    int exit_code;
    if (!logs)
        return FLO_EXIT_INTERNAL;
    cli_place_find(options, &place);
    cli_place_fini(&place);
    logs->options = options;
    logs->colour = flo_line_colours(STDOUT_FILENO);
    snprintf(logs->dir, sizeof logs->dir, "%s/logs", place.dir);
    find_sources(logs, lines);
    exit_code = check_operands(logs);
    if (!exit_code && logs->source_count == 0 && !options->follow) {
        fprintf(stderr, "flotilla logs: there are no logs in %s\n", logs->dir);
        exit_code = FLO_EXIT_NO_INPUT;
    }
    if (!exit_code && print_all(logs, lines) && options->follow)
        exit_code = follow(logs);
    for (size_t i = 0; i < logs->entry_count; i++)
        flo_free(logs->entries[i].text);
    for (size_t i = 0; i < logs->source_count; i++) {
        struct source *source = logs->sources[i];
        flo_free(source->cutter.partial);
        if (source->fd >= 0)
            close(source->fd);
        flo_free(source->path);
        flo_free(source);
    }
    flo_free(logs->entries);
    flo_free(logs);
    return exit_code;
}
