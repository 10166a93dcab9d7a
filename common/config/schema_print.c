/* SPDX-License-Identifier: Apache-2.0 */
/* schema_print.c - a loaded configuration for --print-config, and a table as documentation. */
#include <string.h>

#include "config/internal.h"

static void print_source(const struct flo_source *source, struct flo_buf *out)
{
    switch (source->kind) {
    case FLO_FROM_DEFAULT:
        flo_buf_append_str(out, "default");
        break;
    case FLO_FROM_FILE:
        flo_buf_printf(out, "%s:%d", source->name, source->line);
        break;
    case FLO_FROM_ENV:
        flo_buf_printf(out, "env %s", source->name);
        break;
    case FLO_FROM_FLAG:
        flo_buf_append_str(out, "flag");
        break;
    case FLO_FROM_OTHER:
        flo_buf_printf(out, "by %s", source->name);
        break;
    }
}

void flo_config_print_row(const struct flo_config *config, size_t i, struct flo_buf *out_value,
                          struct flo_buf *out_source)
{
    const struct flo_setting *row = &config->table[i];

    flo_value_print(row, (const char *)config + row->offset, out_value);
    print_source(&config->sources[i], out_source);
}

int flo_config_print(const struct flo_config *config, struct flo_buf *out)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct flo_setting *row = &config->table[i];
        if (row->roles && !(row->roles & config->role))
            continue;
        flo_buf_printf(out, "%s: ", row->key);
        flo_value_print(row, (const char *)config + row->offset, out);
        flo_buf_append_str(out, "  # ");
        print_source(&config->sources[i], out);
        flo_buf_append_str(out, "\n");
    }
    return out->failed ? FLO_ENOMEM : 0;
}

static void document_env(const char *env, struct flo_buf *out)
{
    for (const char *p = env; p && *p;) {
        size_t len = strcspn(p, " ");
        flo_buf_printf(out, "%s`%.*s`", p == env ? "" : ", ", (int)len, p);
        p += len + strspn(p + len, " ");
    }
}

static void document_row(const struct flo_setting *row, const char *prefix, struct flo_buf *out)
{
    flo_buf_printf(out, "| `%s%s` | ", prefix, row->key);
    if (row->flags & FLO_SETTING_REQUIRED)
        flo_buf_append_str(out, "required");
    else if (row->initial && *row->initial)
        flo_buf_printf(out, "`%s`", row->initial);
    else
        flo_buf_append_str(out, "–");
    flo_buf_append_str(out, " | ");
    flo_value_print_allowed(row, out);
    flo_buf_append_str(out, row->flags & FLO_SETTING_SECRET ? " (secret) | " : " | ");
    document_env(row->env, out);
    flo_buf_printf(out, " | %s |\n", row->help);
}

int flo_config_document(const struct flo_setting *table, size_t count, unsigned role,
                        struct flo_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct flo_setting *row = &table[i];
        if (role && row->roles && !(row->roles & role))
            continue;
        document_row(row, "", out);
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s[].", row->key);
        for (size_t j = 0; j < row->item_count; j++)
            document_row(&row->items[j], prefix, out);
    }
    return out->failed ? FLO_ENOMEM : 0;
}

bool flo_config_main_end(const struct flo_config *config, const struct flo_cmdline *cmdline,
                         int *out_exit)
{
    if (!cmdline->print_config && !cmdline->check_config)
        return false;
    for (size_t i = 0; i < config->warning_count; i++)
        fprintf(stderr, "%s: warning: %s\n", cmdline->program, config->warnings[i]);
    *out_exit = 0;
    struct flo_buf text;
    flo_buf_init(&text, 0);
    if (cmdline->print_config && flo_config_print(config, &text))
        *out_exit = flo_exit_code(FLO_ENOMEM);
    else if (cmdline->print_config)
        fputs(flo_buf_cstr(&text), stdout);
    else
        printf("%s: the configuration is good\n", cmdline->program);
    flo_buf_fini(&text);
    return true;
}
