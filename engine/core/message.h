/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - parts of messages that are packed at once, and so may live on the stack. */
#ifndef FLO_ENGINE_CORE_MESSAGE_H
#define FLO_ENGINE_CORE_MESSAGE_H

#include <stdint.h>

#include "base/clock.h"
#include "wire/api.h"

/* Text for a field of a message that is only read: protobuf-c's fields are not const. NULL = "". */
static inline char *flo_text(const char *value)
{
    return (char *)(uintptr_t)(value ? value : "");
}

static inline Google__Protobuf__Timestamp flo_make_timestamp(int64_t ns)
{
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    time.seconds = ns / FLO_NS_PER_S;
    time.nanos = (int32_t)(ns % FLO_NS_PER_S);
    return time;
}

static inline Google__Protobuf__Duration flo_make_duration(int64_t ns)
{
    Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
    duration.seconds = ns / FLO_NS_PER_S;
    duration.nanos = (int32_t)(ns % FLO_NS_PER_S);
    return duration;
}

#endif
