/* SPDX-License-Identifier: Apache-2.0 */
/* methods.h - the calls that the core serves, by name. */
#ifndef FLO_ENGINE_CORE_METHODS_H
#define FLO_ENGINE_CORE_METHODS_H

#include "engine/core/core.h"

typedef void (*flo_method_fn)(struct flo_core *core, const struct flo_core_call_info *info,
                              const void *request);

/* FLO_METHODS(X): X(Name, name): flo_rpc_<name>() serves it, flo_api__<name>_request is its
 * request. Files: see README.md. */
#define FLO_METHODS(X)                                                                             \
    X(GetSystemInfo, get_system_info)                                                              \
    X(GetClusterInfo, get_cluster_info)                                                            \
    X(GetSearchAttributes, get_search_attributes)                                                  \
    X(AddSearchAttributes, add_search_attributes)                                                  \
    X(RemoveSearchAttributes, remove_search_attributes)                                            \
    X(RegisterNamespace, register_namespace)                                                       \
    X(DescribeNamespace, describe_namespace)                                                       \
    X(ListNamespaces, list_namespaces)                                                             \
    X(UpdateNamespace, update_namespace)                                                           \
    X(DeprecateNamespace, deprecate_namespace)                                                     \
    X(StartWorkflowExecution, start_workflow_execution)                                            \
    X(SignalWithStartWorkflowExecution, signal_with_start_workflow_execution)                      \
    X(SignalWorkflowExecution, signal_workflow_execution)                                          \
    X(RequestCancelWorkflowExecution, request_cancel_workflow_execution)                           \
    X(TerminateWorkflowExecution, terminate_workflow_execution)                                    \
    X(ResetWorkflowExecution, reset_workflow_execution)                                            \
    X(UpdateWorkflowExecutionOptions, update_workflow_execution_options)                           \
    X(DeleteWorkflowExecution, delete_workflow_execution)                                          \
    X(StartBatchOperation, start_batch_operation)                                                  \
    X(StopBatchOperation, stop_batch_operation)                                                    \
    X(DescribeBatchOperation, describe_batch_operation)                                            \
    X(ListBatchOperations, list_batch_operations)                                                  \
    X(GetWorkflowExecutionHistory, get_workflow_execution_history)                                 \
    X(GetWorkflowExecutionHistoryReverse, get_workflow_execution_history_reverse)                  \
    X(DescribeWorkflowExecution, describe_workflow_execution)                                      \
    X(DescribeTaskQueue, describe_task_queue)                                                      \
    X(ListTaskQueuePartitions, list_task_queue_partitions)                                         \
    X(UpdateTaskQueueConfig, update_task_queue_config)                                             \
    X(UpdateWorkflowExecution, update_workflow_execution)                                          \
    X(ExecuteMultiOperation, execute_multi_operation)                                              \
    X(PollWorkflowExecutionUpdate, poll_workflow_execution_update)                                 \
    X(QueryWorkflow, query_workflow)                                                               \
    X(RespondQueryTaskCompleted, respond_query_task_completed)                                     \
    X(PollWorkflowTaskQueue, poll_workflow_task_queue)                                             \
    X(PollActivityTaskQueue, poll_activity_task_queue)                                             \
    X(ShutdownWorker, shutdown_worker)                                                             \
    X(RecordWorkerHeartbeat, record_worker_heartbeat)                                              \
    X(DescribeWorker, describe_worker)                                                             \
    X(ResetStickyTaskQueue, reset_sticky_task_queue)                                               \
    X(RespondWorkflowTaskCompleted, respond_workflow_task_completed)                               \
    X(RespondWorkflowTaskFailed, respond_workflow_task_failed)                                     \
    X(RespondActivityTaskCompleted, respond_activity_task_completed)                               \
    X(RespondActivityTaskCompletedById, respond_activity_task_completed_by_id)                     \
    X(RespondActivityTaskFailed, respond_activity_task_failed)                                     \
    X(RespondActivityTaskFailedById, respond_activity_task_failed_by_id)                           \
    X(RespondActivityTaskCanceled, respond_activity_task_canceled)                                 \
    X(RespondActivityTaskCanceledById, respond_activity_task_canceled_by_id)                       \
    X(CreateSchedule, create_schedule)                                                             \
    X(DescribeSchedule, describe_schedule)                                                         \
    X(UpdateSchedule, update_schedule)                                                             \
    X(PatchSchedule, patch_schedule)                                                               \
    X(DeleteSchedule, delete_schedule)                                                             \
    X(ListScheduleMatchingTimes, list_schedule_matching_times)                                     \
    X(RecordActivityTaskHeartbeat, record_activity_task_heartbeat)                                 \
    X(RecordActivityTaskHeartbeatById, record_activity_task_heartbeat_by_id)                       \
    X(PauseActivity, pause_activity)                                                               \
    X(UnpauseActivity, unpause_activity)                                                           \
    X(ResetActivity, reset_activity)                                                               \
    X(UpdateActivityOptions, update_activity_options)

#define FLO_METHOD_DECLARE(Name, name)                                                             \
    void flo_rpc_##name(struct flo_core *core, const struct flo_core_call_info *info,              \
                        const void *request);
FLO_METHODS(FLO_METHOD_DECLARE)
#undef FLO_METHOD_DECLARE

#endif
