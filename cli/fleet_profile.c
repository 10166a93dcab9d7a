/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_profile.c - `flotilla fleet profile`: where processes spend their CPU time, as folded
 * stacks or a flame graph. */
#include <stdio.h>
#include <string.h>

#include "cli/flame.h"
#include "cli/fleet.h"

#define DEFAULT_SECONDS 10

static const char *name_of(const json_t *result)
{
    const char *name = json_string_value(json_object_get(result, "name"));
    return name && *name ? name : json_string_value(json_object_get(result, "identity"));
}

/* The stacks of one process; below its name when there are several. */
static void add_stacks(struct flo_buf *out, const char *folded, const char *name)
{
    while (folded && *folded) {
        size_t len = strcspn(folded, "\n");
        if (name)
            flo_buf_printf(out, "%s;", name);
        flo_buf_append(out, folded, len);
        flo_buf_append_str(out, "\n");
        folded += len + (folded[len] == '\n');
    }
}

static void collect(const json_t *answer, struct flo_buf *out)
{
    const json_t *results = json_object_get(answer, "results");
    const bool several = json_array_size(results) > 1;
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        const json_t *data = json_object_get(result, "data");
        if (!json_is_true(json_object_get(result, "ok"))) {
            fprintf(stderr, "flotilla fleet profile: %s: %s\n", name_of(result),
                    json_string_value(json_object_get(result, "message")));
            continue;
        }
        fprintf(stderr, "%s: %lld samples, %lld lost\n", name_of(result),
                (long long)json_integer_value(json_object_get(data, "samples")),
                (long long)json_integer_value(json_object_get(data, "lost")));
        add_stacks(out, json_string_value(json_object_get(data, "folded")),
                   several ? name_of(result) : NULL);
    }
}

static int put_file(const char *path, const struct flo_buf *text)
{
    FILE *file = path ? fopen(path, "we") : stdout;
    bool good = file && (!text->len || fwrite(text->data, 1, text->len, file) == text->len);
    if (path && file)
        good = fclose(file) == 0 && good;
    else
        good = good && fflush(stdout) == 0;
    if (!good)
        fprintf(stderr, "flotilla fleet profile: cannot write %s: %m\n", path ? path : "stdout");
    return good ? 0 : FLO_EXIT_CANNOT_OPEN;
}

static void say_how_to_draw(const char *path)
{
    fprintf(stderr,
            "%s%sfolded stacks: --svg draws them; so do flamegraph.pl, inferno-flamegraph and "
            "speedscope.app\n",
            path ? path : "", path ? ": " : "");
}

static int put(const struct cli_fleet *fleet, const json_t *answer)
{
    const struct cli_options *options = fleet->options;
    struct flo_buf folded, svg;
    struct flo_err err = {0};
    int rc = 0;
    flo_buf_init(&folded, 0);
    flo_buf_init(&svg, 0);
    collect(answer, &folded);
    if (!folded.len) {
        fprintf(stderr, "flotilla fleet profile: no samples: nothing ran%s%s%s\n",
                options->out ? ", so " : "", options->out ? options->out : "",
                options->out ? " is not written" : "");
        rc = FLO_EXIT_REFUSED;
    } else if (options->svg) {
        if (cli_flame_draw((const char *)folded.data, folded.len, fleet->targets[0], &svg, &err))
            rc = cli_fleet_fail(fleet, &err);
        else
            rc = put_file(options->out, &svg);
    } else {
        rc = put_file(options->out, &folded);
        if (!rc)
            say_how_to_draw(options->out);
    }
    flo_buf_fini(&folded);
    flo_buf_fini(&svg);
    return rc;
}

int cli_fleet_profile(struct cli_fleet *fleet)
{
    const struct cli_options *options = fleet->options;
    const int64_t seconds = options->seconds >= 0 ? options->seconds : DEFAULT_SECONDS;
    json_t *args = json_pack("{s:I}", "seconds", (json_int_t)seconds), *answer;
    int exit_code = 0, rc;
    if (options->hz >= 0)
        json_object_set_new(args, "hz", json_integer(options->hz));
    answer = cli_fleet_ask(fleet, args, seconds * 1000, &exit_code);
    if (!answer)
        return exit_code;
    exit_code = cli_fleet_verdict(answer);
    if (options->json) {
        cli_fleet_put_json(fleet, answer, "results");
        return exit_code;
    }
    rc = put(fleet, answer);
    json_decref(answer);
    return exit_code ? exit_code : rc;
}
