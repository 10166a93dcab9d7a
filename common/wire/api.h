/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the generated structs of our schema (proto/), under one include.
 *
 * Names: temporal.api.<anything>.v1.Foo becomes FloApi__Foo, with flo_api__foo__init,
 * flo_api__foo__descriptor; google.protobuf.Foo is Google__Protobuf__Foo, google.rpc.Status is
 * Google__Rpc__Status, grpc.health.v1.Foo is Grpc__Health__V1__Foo
 * (and grpc.reflection.v1 likewise),
 * externalscaler.Foo is FloKeda__Foo. Enum values carry both names:
 * FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED. proto/README.md has the whole rule.
 */
#ifndef FLO_WIRE_API_H
#define FLO_WIRE_API_H

#include "activity.pb-c.h"
#include "activity_service.pb-c.h"
#include "batch.pb-c.h"
#include "batch_service.pb-c.h"
#include "command.pb-c.h"
#include "common.pb-c.h"
#include "deployment.pb-c.h"
#include "enums.pb-c.h"
#include "errordetails.pb-c.h"
#include "externalscaler.pb-c.h"
#include "failure.pb-c.h"
#include "filter.pb-c.h"
#include "health.pb-c.h"
#include "history.pb-c.h"
#include "namespace.pb-c.h"
#include "operator.pb-c.h"
#include "protocol.pb-c.h"
#include "query.pb-c.h"
#include "reflection.pb-c.h"
#include "replication.pb-c.h"
#include "schedule.pb-c.h"
#include "schedule_service.pb-c.h"
#include "sdk.pb-c.h"
#include "service.pb-c.h"
#include "status.pb-c.h"
#include "taskqueue.pb-c.h"
#include "testservice.pb-c.h"
#include "update.pb-c.h"
#include "version.pb-c.h"
#include "wellknown.pb-c.h"
#include "worker.pb-c.h"
#include "worker_service.pb-c.h"
#include "workflow.pb-c.h"

#endif
