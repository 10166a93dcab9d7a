/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp.c - otlp.*: the variables that OpenTelemetry defines and that are no plain settings,
 * checks, and the addresses that come of it.
 *
 * Specification: OpenTelemetry, "Environment Variable Specification" and "Protocol Exporter": an
 * endpoint for all signals gets the signal's path, an endpoint for one signal is taken as it is.
 */
#include "config/otlp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/pairs.h"
#include "config/internal.h"

/* Durations that the variables give in milliseconds, without a unit. */
struct plain_duration {
    const char *key, *variable;
    size_t offset;
    int64_t min, max;
};
#define AT(member) offsetof(struct flo_otlp_config, member)
static const struct plain_duration DURATIONS[] = {
    {"otlp.interval", "OTEL_METRIC_EXPORT_INTERVAL", AT(interval_ms), 100, 3600000},
    {"otlp.span_delay", "OTEL_BSP_SCHEDULE_DELAY", AT(span_delay_ms), 10, 300000},
    {"otlp.timeout", "OTEL_EXPORTER_OTLP_TIMEOUT", AT(timeout_ms), 10, 300000},
};

/* A variable that is set and not empty; else NULL. */
static const char *variable(const char *name)
{
    const char *text = getenv(name);

    return text && *text ? text : NULL;
}

static int read_duration(struct flo_config *config, struct flo_otlp_config *otlp,
                         const struct plain_duration *d, struct flo_err *err)
{
    const char *text = variable(d->variable);
    int64_t *value = (int64_t *)(void *)((char *)otlp + d->offset);
    size_t digits = text ? strspn(text, "0123456789") : 0;

    const struct flo_source *source = flo_config_source(config, d->key);

    if (!text || !source || source->kind == FLO_FROM_FLAG)
        return 0;
    int64_t ms = digits > 0 && digits < 10 && !text[digits] ? strtoll(text, NULL, 10) : -1;
    if (ms < d->min || ms > d->max)
        return flo_fail(err, FLO_ECONFIG,
                        "environment variable %s: %s: \"%.60s\" is no number of milliseconds from "
                        "%lld to %lld",
                        d->variable, d->key, text, (long long)d->min, (long long)d->max);
    *value = ms;
    flo_config_follows(config, d->key, d->variable);
    return 0;
}

/* Does the user say, in the way of all programs with OpenTelemetry, that nothing is exported? */
static bool switched_off(const char *exporter)
{
    const char *disabled = variable("OTEL_SDK_DISABLED");
    const char *chosen = variable(exporter);

    return (disabled && strcasecmp(disabled, "true") == 0) || (chosen && !strcmp(chosen, "none"));
}

/* host or host:port, the host a name or an address, in brackets when it is one of IPv6. */
static bool is_authority(const char *text, size_t len)
{
    const char *end = text + len, *colon = memchr(text, *text == '[' ? ']' : ':', len);
    char *digits_end;

    if (*text == '[') {
        if (!colon)
            return false;
        colon++;
    }
    if (!colon || colon == end)
        return len > 0;
    if (*colon != ':' || colon == text || !isdigit((unsigned char)colon[1]))
        return false;
    long port = strtol(colon + 1, &digits_end, 10);
    return digits_end == end && port > 0 && port <= 65535;
}

/* What the exporter can be told: an address that it does not take would stop the worker later, and
 * with no line of the file. */
static int check_endpoint(struct flo_config *config, const char *key, const char *url,
                          struct flo_err *err)
{
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t len = strcspn(url + scheme, "/?#");
    bool printable = true;

    for (const char *p = url; *p; p++)
        printable = printable && *p > ' ' && *p != 0x7f;
    if (memchr(url + scheme, '@', len))
        return flo_config_refuse(config, key, err,
                                 "an endpoint has no name and password; otlp.headers is for them");
    if (!*url || (scheme && printable && !strchr(url, '#') && is_authority(url + scheme, len)))
        return 0;
    return flo_config_refuse(config, key, err,
                             "\"%.200s\" is no endpoint; http://host:4318 or https://host is "
                             "allowed",
                             url);
}

static int check_pairs(struct flo_config *config, const char *key, const char *text, bool headers,
                       struct flo_err *err)
{
    struct flo_pairs pairs;
    struct flo_err why = {0};
    int rc = flo_pairs_parse(text, headers, &pairs, &why);

    if (rc)
        return rc == FLO_ENOMEM ? flo_fail(err, rc, "%s", why.message)
                                : flo_config_refuse(config, key, err, "%s", why.message);
    flo_pairs_fini(&pairs);
    return 0;
}

/* The signal's own endpoint, else the common one with the signal's path. NULL: no memory. */
static const char *url_of(struct flo_config *config, const char *common, bool on,
                          const char *exporter, const char *own, const char *path)
{
    size_t len = strlen(common);

    if (!on || switched_off(exporter) || (!*own && !len))
        return "";
    if (*own)
        return own;
    return flo_arena_printf(&config->arena, "%s%s%s", common, common[len - 1] == '/' ? "" : "/",
                            path);
}

static void warn_protocol(struct flo_config *config, const struct flo_otlp_config *otlp)
{
    const char *protocol = variable("OTEL_EXPORTER_OTLP_PROTOCOL");

    if (protocol && strcmp(protocol, "http/json") != 0 && (*otlp->metrics_url || *otlp->traces_url))
        flo_config_warn(config,
                        "OTEL_EXPORTER_OTLP_PROTOCOL: %.40s is not spoken here, http/json is; a "
                        "collector takes that on the port of http/protobuf, not on that of grpc",
                        protocol);
}

int flo_otlp_config_finish(struct flo_config *config, struct flo_otlp_config *otlp,
                           struct flo_err *err)
{
    int rc = 0;

    if (!otlp->traces_endpoint)
        otlp->traces_endpoint = "";
    for (size_t i = 0; i < sizeof DURATIONS / sizeof *DURATIONS && !rc; i++)
        rc = read_duration(config, otlp, &DURATIONS[i], err);
    if (!rc)
        rc = check_endpoint(config, "otlp.endpoint", otlp->endpoint, err);
    if (!rc)
        rc = check_endpoint(config, "otlp.metrics_endpoint", otlp->metrics_endpoint, err);
    if (!rc)
        rc = check_endpoint(config, "otlp.traces_endpoint", otlp->traces_endpoint, err);
    if (!rc)
        rc = check_pairs(config, "otlp.headers", otlp->headers, true, err);
    if (!rc)
        rc = check_pairs(config, "otlp.resource_attributes", otlp->resource_attributes, false, err);
    if (rc)
        return rc;
    otlp->metrics_url = url_of(config, otlp->endpoint, otlp->metrics, "OTEL_METRICS_EXPORTER",
                               otlp->metrics_endpoint, "v1/metrics");
    otlp->traces_url = url_of(config, otlp->endpoint, otlp->traces, "OTEL_TRACES_EXPORTER",
                              otlp->traces_endpoint, "v1/traces");
    if (!otlp->metrics_url || !otlp->traces_url)
        return flo_fail(err, FLO_ENOMEM, "no memory for the endpoints of OpenTelemetry");
    warn_protocol(config, otlp);
    return 0;
}
