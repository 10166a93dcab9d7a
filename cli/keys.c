/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.c - `flotilla keys generate|add|remove|list|payload|api`: the keys with which a fleet's
 * processes know each other when they report over a network (CURVE), and the folder of those that
 * may report.
 *
 *   DIR/supervisor.secret  DIR/supervisor.public      the supervisor's pair
 *   DIR/NAME.secret        DIR/allowed/NAME.public    a pair for each role, or each name
 *
 * A running supervisor reads the folder again at SIGHUP; each change says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/sha256.h"
#include "cli/command.h"
#include "cli/output.h"
#include "telemetry/curve.h"

#define DEFAULT_DIR "keys"
#define NAME_LONGEST 64
#define NAMESPACE_LONGEST 255
#define API_KEY_PREFIX "flo_"
#define ENDING ".public"

struct keys {
    const struct cli_options *options;
    const char *dir;
    char allowed[PATH_MAX];
    char **names; /* the operands after the action */
    size_t count;
};

static int report(int rc, const struct flo_err *err)
{
    fprintf(stderr, "flotilla keys: %s\n", err->message);
    return flo_exit_code(rc);
}

const char *cli_keys_help(void)
{
    return "actions:\n"
           "  generate [NAME ...]  make the supervisor's pair, and one for each role or each NAME\n"
           "  add NAME KEY         let NAME report; KEY is a public key, or the file of one\n"
           "  remove NAME          let NAME report no more\n"
           "  list                 those that may report\n"
           "  api FILE NAMESPACE [NAME]  make an API key of the engine (--api-keys FILE): the key "
           "is\n"
           "                       printed, FILE gets its hash; NAMESPACE * is all of them\n"
           "  payload FILE [NAME]  make a key that payloads are encrypted with (codec.key_file)\n"
           "A running supervisor takes changes up at SIGHUP: kill -HUP PID, with the \"pid\" of "
           "its\n"
           "fleet.json.\n";
}

static int usage(const char *text)
{
    fprintf(stderr, "flotilla keys: %s\n", text);
    return FLO_EXIT_USAGE;
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len && len <= NAME_LONGEST && *name != '.' && *name != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static void say_reload(const struct keys *keys)
{
    if (!keys->options->json)
        printf("The supervisor takes this up at SIGHUP: kill -HUP PID, with the \"pid\" of its "
               "fleet.json\n");
}

/* ---- the folder of allowed keys ---- */

struct allowed_key {
    char name[NAME_MAX + 1], text[FLO_CURVE_TEXT];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct allowed_key *)a)->name, ((const struct allowed_key *)b)->name);
}

/* All keys of the folder by name; free() *out. A folder that is not there has none. */
static int read_allowed(const struct keys *keys, struct allowed_key **out, size_t *out_count,
                        struct flo_err *err)
{
    struct allowed_key *found = NULL;
    size_t count = 0;
    int rc = 0;
    DIR *dir = opendir(keys->allowed);
    if (!dir && errno != ENOENT)
        return flo_fail(err, FLO_EPERM, "cannot read %s: %s", keys->allowed, strerror(errno));
    for (struct dirent *entry; dir && !rc && (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name), end = strlen(ENDING);
        char path[PATH_MAX + NAME_MAX + 2];
        if (len <= end || *entry->d_name == '.' || strcmp(entry->d_name + len - end, ENDING) != 0)
            continue;
        struct allowed_key *more = realloc(found, (count + 1) * sizeof *more);
        if (!more) {
            rc = flo_fail(err, FLO_ENOMEM, "no memory for the keys");
            break;
        }
        found = more;
        snprintf(path, sizeof path, "%s/%s", keys->allowed, entry->d_name);
        rc = flo_curve_read_public(path, found[count].text, err);
        snprintf(found[count].name, sizeof found[count].name, "%.*s", (int)(len - end),
                 entry->d_name);
        count++;
    }
    if (dir)
        closedir(dir);
    if (rc) {
        free(found);
        return rc;
    }
    if (count)
        qsort(found, count, sizeof *found, by_name);
    *out = found;
    *out_count = count;
    return 0;
}

/* ---- actions ---- */

static int generate(struct keys *keys)
{
    struct flo_err err = {0};
    char path[PATH_MAX + 32], public[FLO_CURVE_TEXT];
    int rc = flo_curve_make_fleet(keys->dir, keys->count ? (const char *const *)keys->names : NULL,
                                  keys->count, &err);
    snprintf(path, sizeof path, "%s/supervisor.public", keys->dir);
    if (!rc)
        rc = flo_curve_read_public(path, public, &err);
    if (rc)
        return report(rc, &err);
    if (keys->options->json) {
        cli_print_json(json_pack("{s:s, s:s}", "dir", keys->dir, "supervisor", public));
        return 0;
    }
    printf("Made keys in %s; the supervisor's public key is %s\n\n"
           "The supervisor (fleet.yaml) needs\n"
           "  supervisor: {curve: {secret_key_file: %s/supervisor.secret, allowed_keys_dir: "
           "%s}}\n"
           "each worker its own secret key and the supervisor's public one\n"
           "  supervisor: {curve: {secret_key_file: NAME.secret, server_key_file: "
           "supervisor.public}}\n",
           keys->dir, public, keys->dir, keys->allowed);
    return 0;
}

/* A key's text, or the file that holds one. */
static int read_key(const char *word, char out_text[FLO_CURVE_TEXT], struct flo_err *err)
{
    if (access(word, F_OK) == 0)
        return flo_curve_read_public(word, out_text, err);
    return flo_curve_parse(word, out_text, err);
}

static int add(struct keys *keys)
{
    struct flo_err err = {0};
    char text[FLO_CURVE_TEXT];
    struct allowed_key *all = NULL;
    size_t count = 0;
    if (keys->count != 2)
        return usage("add needs a name and a public key (its text, or a file): add io-7 "
                     "io-7.public");
    int rc = read_key(keys->names[1], text, &err);
    if (!rc)
        rc = flo_file_make_folders(keys->allowed, &err);
    if (!rc)
        rc = read_allowed(keys, &all, &count, &err);
    for (size_t i = 0; !rc && i < count; i++)
        if (strcmp(all[i].text, text) == 0)
            rc = flo_fail(&err, FLO_EEXIST, "this key is allowed already, as %s", all[i].name);
    if (!rc)
        rc = flo_curve_write_public(keys->allowed, keys->names[0], text, &err);
    free(all);
    if (rc)
        return report(rc, &err);
    if (keys->options->json)
        cli_print_json(json_pack("{s:s, s:s}", "name", keys->names[0], "key", text));
    else
        printf("%s may report, once the supervisor knows it\n", keys->names[0]);
    say_reload(keys);
    return 0;
}

static int remove_key(struct keys *keys)
{
    struct flo_err err = {0};
    struct allowed_key *all = NULL;
    char path[PATH_MAX + NAME_MAX + 2];
    size_t count = 0;
    if (keys->count != 1)
        return usage("remove needs a name: remove io-7");
    int rc = read_allowed(keys, &all, &count, &err);
    bool last = count == 1 && strcmp(all[0].name, keys->names[0]) == 0;
    free(all);
    if (!rc && last)
        rc = flo_fail(&err, FLO_EINVAL,
                      "%s is the last key: without any nobody could report, and a supervisor does "
                      "not take up an empty folder; add another one first",
                      keys->names[0]);
    snprintf(path, sizeof path, "%s/%s" ENDING, keys->allowed, keys->names[0]);
    if (!rc && unlink(path))
        rc = flo_fail(&err, errno == ENOENT ? FLO_ENOENT : FLO_EPERM, "cannot remove %s: %s", path,
                      strerror(errno));
    if (rc)
        return report(rc, &err);
    if (keys->options->json)
        cli_print_json(json_pack("{s:s}", "name", keys->names[0]));
    else
        printf("%s may no longer report, once the supervisor knows it; whoever is connected with "
               "this key is put out then\n",
               keys->names[0]);
    say_reload(keys);
    return 0;
}

static int list(struct keys *keys)
{
    struct flo_err err = {0};
    struct allowed_key *all = NULL;
    size_t count = 0;
    if (keys->count)
        return usage("list takes no name");
    int rc = read_allowed(keys, &all, &count, &err);
    if (rc)
        return report(rc, &err);
    json_t *json = json_array();
    for (size_t i = 0; i < count; i++) {
        if (keys->options->json)
            json_array_append_new(json,
                                  json_pack("{s:s, s:s}", "name", all[i].name, "key", all[i].text));
        else
            printf("%-24s %s\n", all[i].name, all[i].text);
    }
    if (keys->options->json)
        cli_print_json(json);
    else
        json_decref(json);
    if (!count && !keys->options->json)
        fprintf(stderr, "flotilla keys: %s holds no keys; 'flotilla keys generate' makes some\n",
                keys->allowed);
    free(all);
    return 0;
}

/* A key of AES-256: its name, a space and 32 random bytes in base64. */
static int payload(struct keys *keys)
{
    struct flo_err err = {0};
    uint8_t bytes[32];
    char text[NAME_LONGEST + 2 + FLO_BASE64_TEXT_MAX(sizeof bytes)], day[16];
    time_t now = time(NULL);
    struct tm utc;
    int rc = 0;
    if (keys->count < 1 || keys->count > 2)
        return usage("payload needs a file, and may be given the key's name: payload payload.key "
                     "2026-11");
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&now, &utc));
    const char *name = keys->count == 2 ? keys->names[1] : day;
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        rc = flo_fail(&err, FLO_ESYS, "the system gives no random bytes: %s", strerror(errno));
    int len = snprintf(text, sizeof text, "%s ", name);
    text[len + (int)flo_base64_encode(bytes, sizeof bytes, true, text + len)] = '\0';
    if (!rc)
        rc = flo_file_write_secret(keys->names[0], "the payload key", text, &err);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(text, sizeof text);
    if (rc)
        return report(rc, &err);
    if (keys->options->json)
        cli_print_json(json_pack("{s:s, s:s}", "name", name, "file", keys->names[0]));
    else
        printf("Made the payload key %s in %s; workers and clients need\n"
               "  codec: {key_file: %s}\n",
               name, keys->names[0], keys->names[0]);
    return 0;
}

/* Append a line to the engine's file of keys, made if need be. */
static int append_line(const char *path, const char *line, struct flo_err *err)
{
    const size_t len = strlen(line);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return flo_fail(err, FLO_EPERM, "cannot write %s: %s", path, strerror(errno));
    const bool written = write(fd, line, len) == (ssize_t)len && fsync(fd) == 0;
    const int why = errno;
    if (close(fd) || !written)
        return flo_fail(err, FLO_ESYS, "cannot write %s: %s", path, strerror(why));
    return 0;
}

/* An API key of the engine: 256 random bits. The file gets its hash alone. */
static int api(struct keys *keys)
{
    struct flo_err err = {0};
    uint8_t bytes[32], digest[FLO_SHA256_BYTES];
    char key[sizeof API_KEY_PREFIX + FLO_BASE64_TEXT_MAX(sizeof bytes)], hex[2 * sizeof digest + 1];
    char line[NAMESPACE_LONGEST + NAME_LONGEST + sizeof hex + 16];
    struct flo_sha256 sha;
    int rc = 0;
    if (keys->count < 2 || keys->count > 3)
        return usage("api needs the engine's file of keys and a namespace, and may be given a "
                     "name: api api-keys.txt payments ci");
    const char *path = keys->names[0], *namespace_name = keys->names[1];
    if (!*namespace_name || strlen(namespace_name) > NAMESPACE_LONGEST || *namespace_name == '#' ||
        strpbrk(namespace_name, " \t\r\n"))
        return usage("a namespace has no blanks and is no longer than 255 bytes");
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        rc = flo_fail(&err, FLO_ESYS, "the system gives no random bytes: %s", strerror(errno));
    const int prefix = snprintf(key, sizeof key, API_KEY_PREFIX);
    key[prefix + (int)flo_base64_encode(bytes, sizeof bytes, false, key + prefix)] = '\0';
    for (char *c = key; *c; c++) /* the letters of URLs */
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    flo_sha256_init(&sha);
    flo_sha256_add(&sha, key, strlen(key));
    flo_sha256_final(&sha, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(line, sizeof line, "%s sha256:%s%s%s\n", namespace_name, hex,
             keys->count == 3 ? " " : "", keys->count == 3 ? keys->names[2] : "");
    if (!rc)
        rc = append_line(path, line, &err);
    if (!rc && keys->options->json)
        cli_print_json(
            json_pack("{s:s, s:s, s:s}", "namespace", namespace_name, "key", key, "file", path));
    else if (!rc)
        printf("%s\n", key);
    if (!rc && !keys->options->json)
        fprintf(stderr,
                "This key is shown once. %s has its hash; an engine started with --api-keys %s "
                "takes it up within seconds. Callers send it as TEMPORAL_API_KEY.\n",
                path, path);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(key, sizeof key);
    return rc ? report(rc, &err) : 0;
}

int cli_keys(const struct cli_options *options)
{
    static const struct {
        const char *name;
        int (*run)(struct keys *keys);
    } actions[] = {{"generate", generate}, {"add", add},         {"remove", remove_key},
                   {"list", list},         {"payload", payload}, {"api", api}};
    const char *word = options->operand_count ? options->operands[0] : "";
    struct keys keys = {.options = options, .dir = options->dir ? options->dir : DEFAULT_DIR};
    int len = snprintf(keys.allowed, sizeof keys.allowed, "%s/" FLO_CURVE_ALLOWED, keys.dir);
    if (len < 0 || (size_t)len >= sizeof keys.allowed)
        return usage("the folder's path is too long");
    keys.names = options->operands + 1;
    keys.count = options->operand_count ? (size_t)options->operand_count - 1 : 0;
    for (size_t i = 0; i < keys.count && strcmp(word, "list") != 0; i++) {
        if (i == 1 && strcmp(word, "add") == 0)
            break; /* the key */
        if (i == 0 && strcmp(word, "payload") == 0)
            continue; /* a file */
        if (i <= 1 && strcmp(word, "api") == 0)
            continue; /* a file, a namespace */
        if (!is_name(keys.names[i]) || strcmp(keys.names[i], "supervisor") == 0)
            return usage("a name is 1 to 64 letters, digits, '.', '_' or '-', and not "
                         "\"supervisor\"");
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, word) == 0)
            return actions[i].run(&keys);
    return usage("generate, add NAME KEY, remove NAME, list, payload FILE or api FILE "
                 "NAMESPACE is needed");
}
