/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h - otlp.*, the settings that say what is exported to an OpenTelemetry collector. */
#ifndef FLO_CONFIG_OTLP_H
#define FLO_CONFIG_OTLP_H

#include "config/schema.h"

/* In the order of the setting's choices. */
enum flo_otlp_sampler {
    FLO_SAMPLER_ALWAYS_ON,
    FLO_SAMPLER_ALWAYS_OFF,
    FLO_SAMPLER_RATIO,
    FLO_SAMPLER_PARENT_ALWAYS_ON,
    FLO_SAMPLER_PARENT_ALWAYS_OFF,
    FLO_SAMPLER_PARENT_RATIO,
};

/* What a program's table leaves out (the supervisor has no spans) is zero. */
struct flo_otlp_config {
    const char *endpoint, *metrics_endpoint, *traces_endpoint; /* as the file says */
    const char *metrics_url, *traces_url; /* whole, after load; "" = nothing is exported */
    const char *headers;                  /* secret */
    const char *ca_file;
    bool metrics, traces;
    int64_t interval_ms, span_delay_ms, timeout_ms;
    int sampler; /* enum flo_otlp_sampler */
    double sampler_arg;
    const char *service_name, *resource_attributes;
};

/* Read the variables of OpenTelemetry that are no plain settings, check and complete otlp, which is
 * in the struct around config. FLO_ECONFIG, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_otlp_config_finish(struct flo_config *config, struct flo_otlp_config *otlp,
                                          struct flo_err *err);

#endif
