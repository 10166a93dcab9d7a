/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the generated structs of our schema (proto/), under one include. Names: package
 * temporal.api.* becomes FloApi__<Message>, google.protobuf.* stays Google__Protobuf__<Message>.
 */
#ifndef FLO_WIRE_API_H
#define FLO_WIRE_API_H

#include "common.pb-c.h"
#include "failure.pb-c.h"
#include "history.pb-c.h"
#include "command.pb-c.h"
#include "service.pb-c.h"

#endif
