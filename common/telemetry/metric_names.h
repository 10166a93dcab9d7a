/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_names.h - every metric of the project, one line each.
 *
 * The temporal_ names are those of the Temporal SDKs in their tally form (counters end in _total,
 * latencies in _seconds), so that dashboards and alerts made for them work unchanged.
 *
 * FLO_METRIC_NAMES(X): X(ID, KIND, name, labels, buckets, help). Labels are comma-separated;
 * buckets names one of the bound lists in metrics.c for histograms, else NONE.
 */
#ifndef FLO_TELEMETRY_METRIC_NAMES_H
#define FLO_TELEMETRY_METRIC_NAMES_H

/* clang-format off */
#define FLO_METRIC_NAMES(X) \
    /* client */ \
    X(REQUEST, COUNTER, "temporal_request_total", "namespace,operation", NONE, "Calls made to the server.") \
    X(REQUEST_FAILURE, COUNTER, "temporal_request_failure_total", "namespace,operation,status_code", NONE, "Calls that the server refused or that failed.") \
    X(REQUEST_LATENCY, HISTOGRAM, "temporal_request_latency_seconds", "namespace,operation", REQUEST, "Duration of calls.") \
    X(LONG_REQUEST, COUNTER, "temporal_long_request_total", "namespace,operation", NONE, "Long polls made.") \
    X(LONG_REQUEST_FAILURE, COUNTER, "temporal_long_request_failure_total", "namespace,operation,status_code", NONE, "Long polls that failed.") \
    X(LONG_REQUEST_LATENCY, HISTOGRAM, "temporal_long_request_latency_seconds", "namespace,operation", LONG_REQUEST, "Duration of long polls.") \
    X(REQUEST_RESOURCE_EXHAUSTED, COUNTER, "temporal_request_resource_exhausted_total", "namespace,operation", NONE, "Calls answered RESOURCE_EXHAUSTED.") \
    X(LONG_REQUEST_RESOURCE_EXHAUSTED, COUNTER, "temporal_long_request_resource_exhausted_total", "namespace,operation", NONE, "Long polls answered RESOURCE_EXHAUSTED.") \
    /* workflow */ \
    X(WORKFLOW_COMPLETED, COUNTER, "temporal_workflow_completed_total", "namespace,task_queue,workflow_type", NONE, "Workflows completed.") \
    X(WORKFLOW_CANCELED, COUNTER, "temporal_workflow_canceled_total", "namespace,task_queue,workflow_type", NONE, "Workflows cancelled.") \
    X(WORKFLOW_FAILED, COUNTER, "temporal_workflow_failed_total", "namespace,task_queue,workflow_type", NONE, "Workflows failed.") \
    X(WORKFLOW_CONTINUE_AS_NEW, COUNTER, "temporal_workflow_continue_as_new_total", "namespace,task_queue,workflow_type", NONE, "Workflows continued as new.") \
    X(WORKFLOW_ENDTOEND_LATENCY, HISTOGRAM, "temporal_workflow_endtoend_latency_seconds", "namespace,task_queue,workflow_type", ENDTOEND, "From the start of a run to its end.") \
    X(WORKFLOW_POLL_EMPTY, COUNTER, "temporal_workflow_task_queue_poll_empty_total", "namespace,task_queue", NONE, "Workflow task polls that returned nothing.") \
    X(WORKFLOW_POLL_SUCCEED, COUNTER, "temporal_workflow_task_queue_poll_succeed_total", "namespace,task_queue", NONE, "Workflow task polls that returned a task.") \
    X(WORKFLOW_SCHEDULE_TO_START, HISTOGRAM, "temporal_workflow_task_schedule_to_start_latency_seconds", "namespace,task_queue", SCHEDULE_TO_START, "From scheduling a workflow task to its start.") \
    X(WORKFLOW_EXECUTION_LATENCY, HISTOGRAM, "temporal_workflow_task_execution_latency_seconds", "namespace,task_queue,workflow_type", WORKFLOW_TASK, "Duration of workflow tasks.") \
    X(WORKFLOW_REPLAY_LATENCY, HISTOGRAM, "temporal_workflow_task_replay_latency_seconds", "namespace,task_queue,workflow_type", WORKFLOW_TASK, "Time to replay a history.") \
    X(WORKFLOW_EXECUTION_FAILED, COUNTER, "temporal_workflow_task_execution_failed_total", "namespace,task_queue,workflow_type,failure_reason", NONE, "Workflow tasks failed.") \
    X(WORKFLOW_NO_COMPLETION, COUNTER, "temporal_workflow_task_no_completion_total", "namespace,task_queue,workflow_type", NONE, "Workflow tasks whose outcome was not accepted.") \
    X(STICKY_CACHE_HIT, COUNTER, "temporal_sticky_cache_hit_total", "namespace,task_queue", NONE, "Workflow tasks that found their run in the cache.") \
    X(STICKY_CACHE_MISS, COUNTER, "temporal_sticky_cache_miss_total", "namespace,task_queue", NONE, "Sticky workflow tasks that did not.") \
    X(STICKY_CACHE_SIZE, GAUGE, "temporal_sticky_cache_size", "namespace,task_queue", NONE, "Runs in the cache.") \
    X(STICKY_CACHE_BYTES, GAUGE, "flotilla_sticky_cache_bytes", "namespace,task_queue", NONE, "Memory of the runs in the cache.") \
    X(STICKY_CACHE_EVICTION, COUNTER, "temporal_sticky_cache_total_forced_eviction_total", "namespace,task_queue", NONE, "Runs pushed out of the cache.") \
    X(STICKY_CACHE_EVICTED, COUNTER, "flotilla_sticky_cache_evictions_total", "namespace,task_queue,reason", NONE, "Runs that left the cache: capacity, memory, failed (their task failed or its answer was refused), gap (history went on elsewhere), forced or closed.") \
    X(WORKFLOW_REPLAYS, GAUGE, "flotilla_workflow_replays", "namespace,task_queue,state", NONE, "Runs whose whole history is replayed (running), or waits for that (waiting).") \
    X(WORKFLOW_DEADLOCKS, COUNTER, "flotilla_workflow_deadlocks_total", "namespace,task_queue", NONE, "Workflow tasks failed because their code did not yield.") \
    X(WORKFLOW_THREADS_STUCK, GAUGE, "flotilla_workflow_threads_stuck", "namespace,task_queue", NONE, "Threads that were replaced because they do not get out of workflow code.") \
    /* activity */ \
    X(ACTIVITY_POLL_NO_TASK, COUNTER, "temporal_activity_poll_no_task_total", "namespace,task_queue", NONE, "Activity polls that returned nothing.") \
    X(ACTIVITY_TASK_RECEIVED, COUNTER, "temporal_activity_task_received_total", "namespace,task_queue,activity_type,eager", NONE, "Activity tasks received.") \
    X(ACTIVITY_SCHEDULE_TO_START, HISTOGRAM, "temporal_activity_schedule_to_start_latency_seconds", "namespace,task_queue", SCHEDULE_TO_START, "From scheduling an activity to its start.") \
    X(ACTIVITY_EXECUTION_LATENCY, HISTOGRAM, "temporal_activity_execution_latency_seconds", "namespace,task_queue,activity_type", ACTIVITY, "Duration of activity attempts.") \
    X(ACTIVITY_SUCCEED_ENDTOEND, HISTOGRAM, "temporal_activity_succeed_endtoend_latency_seconds", "namespace,task_queue,activity_type", ACTIVITY, "From first scheduling to success.") \
    X(ACTIVITY_EXECUTION_FAILED, COUNTER, "temporal_activity_execution_failed_total", "namespace,task_queue,activity_type", NONE, "Activity attempts failed.") \
    X(ACTIVITY_EXECUTION_CANCELLED, COUNTER, "temporal_activity_execution_cancelled_total", "namespace,task_queue,activity_type", NONE, "Activity attempts cancelled.") \
    X(ACTIVITY_TASK_ERROR, COUNTER, "temporal_activity_task_error_total", "namespace,task_queue,activity_type", NONE, "Activity results that could not be reported.") \
    X(ACTIVITY_UNREGISTERED, COUNTER, "temporal_unregistered_activity_invocation_total", "namespace,task_queue,activity_type", NONE, "Tasks of activity types that the worker does not know.") \
    X(ACTIVITY_DURATION, HISTOGRAM, "activity_duration_seconds", "activity_name,status,error_type", ACTIVITY, "Duration of activity attempts by outcome.") \
    X(ACTIVITY_CPU, COUNTER, "flotilla_activity_cpu_seconds_total", "task_queue,activity_type", NONE, "CPU time of activity attempts.") \
    X(ACTIVITY_SYSTEM_CPU, COUNTER, "flotilla_activity_system_cpu_seconds_total", "task_queue,activity_type", NONE, "The part of it that the kernel spent.") \
    X(ACTIVITY_MAX_RSS, GAUGE, "flotilla_activity_max_rss_bytes", "task_queue,activity_type", NONE, "Highest resident memory of an executor process during an attempt; not known of threads.") \
    X(ACTIVITY_READ, COUNTER, "flotilla_activity_read_bytes_total", "task_queue,activity_type", NONE, "Bytes that attempts had read from storage.") \
    X(ACTIVITY_WRITTEN, COUNTER, "flotilla_activity_written_bytes_total", "task_queue,activity_type", NONE, "Bytes that attempts made to be written to storage.") \
    X(ACTIVITY_VOLUNTARY, COUNTER, "flotilla_activity_voluntary_switches_total", "task_queue,activity_type", NONE, "Times that attempts waited for something.") \
    X(ACTIVITY_INVOLUNTARY, COUNTER, "flotilla_activity_involuntary_switches_total", "task_queue,activity_type", NONE, "Times that attempts were pushed off their core.") \
    X(EXECUTOR_STUCK, GAUGE, "flotilla_executor_stuck", "task_queue,activity_type", NONE, "Threads whose activity was told to stop, executor.grace ago and more, and does not.") \
    X(EXECUTOR_RECYCLED, COUNTER, "flotilla_executor_recycled_total", "task_queue,activity_type,reason", NONE, "Executor processes replaced between two attempts: jobs, memory or descriptors; the type is the last one's.") \
    X(ACTIVITY_CRASHED, COUNTER, "flotilla_activity_crashed_total", "task_queue,activity_type", NONE, "Attempts whose executor process died.") \
    X(QUARANTINE_PARKED, COUNTER, "flotilla_quarantine_parked_total", "activity_type", NONE, "Inputs that this worker parked since they killed their executors.") \
    X(QUARANTINE_REFUSED, COUNTER, "flotilla_quarantine_refused_total", "activity_type", NONE, "Attempts that were not run because their input is parked.") \
    X(QUARANTINE_INPUTS, GAUGE, "flotilla_quarantine_inputs", "", NONE, "Parked inputs that the worker knows: each worker that shares the folder counts the same ones.") \
    /* local activities */ \
    X(LOCAL_ACTIVITY, COUNTER, "temporal_local_activity_total", "namespace,task_queue,activity_type", NONE, "Local activities started.") \
    X(LOCAL_ACTIVITY_EXECUTION_LATENCY, HISTOGRAM, "temporal_local_activity_execution_latency_seconds", "namespace,task_queue,activity_type", ACTIVITY, "Duration of attempts of local activities.") \
    X(LOCAL_ACTIVITY_SUCCEED_ENDTOEND, HISTOGRAM, "temporal_local_activity_succeed_endtoend_latency_seconds", "namespace,task_queue,activity_type", ACTIVITY, "From the start of a local activity to its success.") \
    X(LOCAL_ACTIVITY_EXECUTION_FAILED, COUNTER, "temporal_local_activity_execution_failed_total", "namespace,task_queue,activity_type", NONE, "Attempts of local activities failed.") \
    X(LOCAL_ACTIVITY_EXECUTION_CANCELLED, COUNTER, "temporal_local_activity_execution_cancelled_total", "namespace,task_queue,activity_type", NONE, "Attempts of local activities cancelled.") \
    /* worker */ \
    X(WORKER_START, COUNTER, "temporal_worker_start_total", "namespace,task_queue,worker_type", NONE, "Workers started.") \
    X(POLLER_START, COUNTER, "temporal_poller_start_total", "namespace,task_queue,poller_type", NONE, "Pollers started.") \
    X(NUM_POLLERS, GAUGE, "temporal_num_pollers", "namespace,task_queue,poller_type", NONE, "Polls in flight.") \
    X(SLOTS_AVAILABLE, GAUGE, "temporal_worker_task_slots_available", "namespace,task_queue,worker_type", NONE, "Free task slots.") \
    X(SLOTS_USED, GAUGE, "temporal_worker_task_slots_used", "namespace,task_queue,worker_type", NONE, "Task slots in use.") \
    X(SLOT_UTILIZATION, GAUGE, "temporal_slot_utilization", "namespace,task_queue,worker_type", NONE, "Share of task slots in use, 0 to 1.") \
    X(LOOP_LAG, GAUGE, "flotilla_loop_lag_seconds", "", NONE, "How late the event loop came to its timer when it last did.") \
    X(TOKENS_AVAILABLE, GAUGE, "flotilla_tokens_available", "token", NONE, "Tokens that no poll and no activity holds.") \
    X(TOKENS_USED, GAUGE, "flotilla_tokens_used", "token", NONE, "Tokens that polls and activities hold.") \
    X(RESOURCE_CPU_USAGE, GAUGE, "temporal_resource_slots_cpu_usage", "namespace,task_queue", NONE, "CPU usage that resource-based slots follow, in percent.") \
    X(RESOURCE_MEM_USAGE, GAUGE, "temporal_resource_slots_mem_usage", "namespace,task_queue", NONE, "Memory usage that they follow, in percent.") \
    X(RESOURCE_CPU_OUTPUT, GAUGE, "temporal_resource_slots_cpu_pid_output", "namespace,task_queue", NONE, "Output of the CPU controller.") \
    X(RESOURCE_MEM_OUTPUT, GAUGE, "temporal_resource_slots_mem_pid_output", "namespace,task_queue", NONE, "Output of the memory controller.") \
    X(TUNER_SLOTS, GAUGE, "flotilla_tuner_slots", "namespace,task_queue,worker_type", NONE, "Slots that the tuner allows.") \
    X(TUNER_REFUSALS, COUNTER, "flotilla_tuner_refusals_total", "namespace,task_queue,worker_type,reason", NONE, "Samples at which more slots were wanted and refused.") \
    X(CONNECTED, GAUGE, "flotilla_server_connected", "address", NONE, "1 while the connection to the server stands.") \
    X(RECONNECTS, COUNTER, "flotilla_server_reconnects_total", "address", NONE, "Times the connection to the server was made again.") \
    /* engine */ \
    X(ENGINE_CALLS, COUNTER, "flotilla_engine_calls_total", "operation,status_code", NONE, "Calls answered.") \
    X(ENGINE_CALL_LATENCY, HISTOGRAM, "flotilla_engine_call_latency_seconds", "operation", REQUEST, "Duration of calls, long polls left out.") \
    X(ENGINE_COMMITS, COUNTER, "flotilla_engine_commits_total", "", NONE, "Durable commits.") \
    X(ENGINE_COMMIT_LATENCY, HISTOGRAM, "flotilla_engine_commit_latency_seconds", "", COMMIT, "Duration of a commit, sync included.") \
    X(ENGINE_COMMIT_CALLS, COUNTER, "flotilla_engine_commit_transitions_total", "", NONE, "State transitions made durable.") \
    X(ENGINE_OPEN, GAUGE, "flotilla_engine_open_workflows", "", NONE, "Open workflow runs.") \
    X(ENGINE_COLD, GAUGE, "flotilla_engine_cold_workflows", "", NONE, "Open workflow runs that are on disk only.") \
    X(ENGINE_RESIDENT, GAUGE, "flotilla_engine_resident_bytes", "", NONE, "What the others take in memory, about.") \
    X(ENGINE_CONNECTIONS, GAUGE, "flotilla_engine_connections", "", NONE, "Client connections.") \
    X(ENGINE_POLLERS, GAUGE, "flotilla_engine_pollers", "namespace,task_queue,task_type", NONE, "Polls waiting for a task.") \
    X(ENGINE_BACKLOG, GAUGE, "flotilla_engine_backlog_tasks", "namespace,task_queue,task_type", NONE, "Tasks waiting for a poller.") \
    X(SERVER_BACKLOG, GAUGE, "approximate_backlog_count", "namespace,taskqueue,task_type", NONE, "Tasks waiting for a poller, as Temporal's server names it.") \
    X(SERVER_BACKLOG_AGE, GAUGE, "approximate_backlog_age_seconds", "namespace,taskqueue,task_type", NONE, "How long the oldest of them has waited.") \
    X(WORKFLOW_QUEUE_DEPTH, GAUGE, "temporal_workflow_task_queue_depth", "namespace,queue,task_queue", NONE, "Workflow tasks waiting for a poller.") \
    X(ACTIVITY_QUEUE_DEPTH, GAUGE, "temporal_activity_task_queue_depth", "namespace,queue,task_queue", NONE, "Activity tasks waiting for a poller.") \
    /* queues and scaling */ \
    X(QUEUE_BACKLOG, GAUGE, "flotilla_queue_backlog", "namespace,task_queue,task_type", NONE, "Tasks waiting for a worker, as the server estimates them.") \
    X(QUEUE_BACKLOG_AGE, GAUGE, "flotilla_queue_backlog_age_seconds", "namespace,task_queue,task_type", NONE, "How long the oldest of them has waited.") \
    X(QUEUE_POLLERS, GAUGE, "flotilla_queue_pollers", "namespace,task_queue,task_type", NONE, "Workers that polled the queue in the last minutes, as the server says.") \
    X(QUEUE_ADD_RATE, GAUGE, "flotilla_queue_added_per_second", "namespace,task_queue,task_type", NONE, "Tasks that came into the queue, as the server estimates.") \
    X(QUEUE_DISPATCH_RATE, GAUGE, "flotilla_queue_dispatched_per_second", "namespace,task_queue,task_type", NONE, "Tasks that workers got from it.") \
    X(SCALE_DESIRED, GAUGE, "flotilla_scale_desired_replicas", "worker", NONE, "Replicas that the policy wants of a worker that is scaled.") \
    X(SCALE_REPLICAS, GAUGE, "flotilla_scale_replicas", "worker", NONE, "Replicas that there are.") \
    X(SCALE_CHANGES, COUNTER, "flotilla_scale_changes_total", "worker,direction", NONE, "Times that the count was changed: up or down.") \
    /* every program */ \
    X(REJECTS, COUNTER, "flotilla_rejects_total", "reason", NONE, "Refused inputs.") \
    X(REPORTS_SENT, COUNTER, "flotilla_reports_sent_total", "", NONE, "Snapshots handed to the supervisor socket.") \
    X(REPORTS_DROPPED, COUNTER, "flotilla_reports_dropped_total", "", NONE, "Snapshots dropped because the supervisor was away.") \
    X(REPORT_EVENTS_DROPPED, COUNTER, "flotilla_report_events_dropped_total", "", NONE, "Events and answers to commands dropped on their way to the supervisor.") \
    X(OTLP_REQUESTS, COUNTER, "flotilla_otlp_requests_total", "signal,outcome", NONE, "Exports to the OpenTelemetry collector: ok, partial, refused or unavailable.") \
    X(OTLP_SPANS, COUNTER, "flotilla_otlp_spans_total", "outcome", NONE, "Spans sent, refused by the collector, undelivered because it was away, or dropped since the queue was full.") \
    X(SERIES_DROPPED, COUNTER, "flotilla_metrics_series_dropped_total", "metric", NONE, "Label sets folded into \"other\" at the bound.") \
    X(HEALTH_CHECK, GAUGE, "flotilla_health_check", "check", NONE, "1 while the check of /health or /ready holds, 0 while it fails.") \
    X(HTTP_REQUESTS, COUNTER, "flotilla_http_requests_total", "path,code", NONE, "Requests to the health and metrics pages.") \
    X(PROCESS_CPU, COUNTER, "process_cpu_seconds_total", "", NONE, "User and system CPU time.") \
    X(PROCESS_RSS, GAUGE, "process_resident_memory_bytes", "", NONE, "Resident memory.") \
    X(PROCESS_PEAK, GAUGE, "flotilla_process_peak_memory_bytes", "", NONE, "Highest resident memory since the start.") \
    X(PROCESS_VSZ, GAUGE, "process_virtual_memory_bytes", "", NONE, "Virtual memory.") \
    X(PROCESS_FDS, GAUGE, "process_open_fds", "", NONE, "Open file descriptors.") \
    X(PROCESS_MAX_FDS, GAUGE, "process_max_fds", "", NONE, "Most file descriptors allowed.") \
    X(PROCESS_START, GAUGE, "process_start_time_seconds", "", NONE, "Start of the process, seconds since 1970.") \
    X(PROCESS_THREADS, GAUGE, "process_threads", "", NONE, "Threads of the process.") \
    X(BUILD_INFO, GAUGE, "flotilla_build_info", "version,role", NONE, "1; the labels say what runs.") \
    /* supervisor */ \
    X(FLEET_PROCESSES, GAUGE, "flotilla_fleet_processes", "role,state", NONE, "Processes known to the supervisor.") \
    X(FLEET_SNAPSHOTS, COUNTER, "flotilla_fleet_snapshots_total", "role", NONE, "Snapshots received.") \
    X(FLEET_SEQ_GAPS, COUNTER, "flotilla_fleet_snapshot_gaps_total", "role", NONE, "Snapshots that were lost on the way.") \
    X(FLEET_BAD_FRAMES, COUNTER, "flotilla_fleet_bad_frames_total", "reason", NONE, "Frames refused by the hub.") \
    X(FLEET_PEERS_REFUSED, COUNTER, "flotilla_fleet_peers_refused_total", "", NONE, "Peers whose key is not allowed.") \
    X(FLEET_HANDSHAKES_FAILED, COUNTER, "flotilla_fleet_handshakes_failed_total", "", NONE, "Connections that never became a peer.") \
    X(FLEET_PEERS, GAUGE, "flotilla_fleet_peers", "", NONE, "Connections that have reported and are open.") \
    X(FLEET_EVENTS, COUNTER, "flotilla_fleet_events_total", "role", NONE, "Events received.") \
    X(FLEET_EVENTS_LOST, COUNTER, "flotilla_fleet_events_lost_total", "role", NONE, "Events that a process or the way dropped.") \
    X(FLEET_COMMANDS, COUNTER, "flotilla_fleet_commands_total", "result", NONE, "Commands sent to processes, by how they ended.") \
    X(FLEET_SERIES_DROPPED, COUNTER, "flotilla_fleet_series_dropped_total", "role", NONE, "Series of reports that were above a bound.") \
    X(FLEET_EVICTED, COUNTER, "flotilla_fleet_evicted_total", "role", NONE, "Processes forgotten at the bound.") \
    X(FLEET_RESETS, COUNTER, "flotilla_fleet_counter_resets_total", "role", NONE, "Snapshots whose counters went back.") \
    X(CONTROL_COMMANDS, COUNTER, "flotilla_control_commands_total", "command,result", NONE, "Commands to processes of the fleet; the result is ok or failed.") \
    X(CONTROL_DENIED, COUNTER, "flotilla_control_denied_total", "reason", NONE, "Requests to steer the fleet that were refused: no_token_file, no_token or wrong_token.") \
    X(CHILD_RESTARTS, COUNTER, "flotilla_child_restarts_total", "process", NONE, "Times a process was started again.") \
    X(CHILD_EXITS, COUNTER, "flotilla_child_exits_total", "process,reason", NONE, "Ends of a process that were not asked for; the reason is its exit status or signal, as exit-74 or signal-9.") \
    X(CHILD_CRASH_LOOP, GAUGE, "flotilla_child_crash_loop", "process", NONE, "1 while the process ends again and again.") \
    X(CHILD_UP, GAUGE, "flotilla_child_up", "process", NONE, "1 while the process runs.")
/* clang-format on */

#endif
