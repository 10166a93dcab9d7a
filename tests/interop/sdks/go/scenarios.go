// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
)

var scenarios = []scenario{
	{"hello", serve(hello)},
	{"local", serve(local)},
	{"retries", serve(retries)},
	{"failures", serve(failures)},
	{"signals-and-queries", serve(signals)},
	{"updates", serve(updates)},
	{"update-with-start", serve(updateWithStart)},
	{"children", serve(children)},
	{"external", serve(external)},
	{"continue-as-new", serve(continued)},
	{"cancellation", serve(cancellation)},
	{"saga", serve(saga)},
	{"side-effects", serve(sideEffects)},
	{"selector", serve(race)},
	{"session", serve(session)},
	{"workflow-retries", serve(workflowRetries)},
	{"start-delay", serve(startDelay)},
	{"completed-later", serve(completedLater)},
	{"reset", serve(reset)},
	{"terminate", serve(terminate)},
	{"search", serve(search)},
	{"schedule", serve(schedule)},
	{"cron", serve(cron)},
	{"versions", versions},
	{"encryption", encryption},
}

func everything(r worker.Registry) {
	for _, w := range []any{Hello, Local, Retried, Refused, Pending, Cart, Parent, Orphan, Teller, Count, Cancellable, Saga,
		Dice, Searched, Session, Race, Flaky} {
		r.RegisterWorkflow(w)
	}
	for _, a := range []any{Greet, Climb, Wait, Refuse, Later, Note} {
		r.RegisterActivity(a)
	}
}

// serve plays a scenario with a worker that has everything.
func serve(play func(p *place) error) func(p *place) error {
	return func(p *place) error {
		stop, err := p.work(everything)
		if err != nil {
			return err
		}
		defer stop()
		return play(p)
	}
}

func hello(p *place) error {
	var said string
	return errors.Join(p.result("w", &said, Hello, "Go"), expect("greeting", &said, "Hello Go!"))
}

func local(p *place) error {
	var said string
	if err := p.result("w", &said, Local, "x"); err != nil {
		return err
	}
	return expect("greeting", &said, "Hello Hello Hello x!!!")
}

func retries(p *place) error {
	var at int
	if err := p.result("w", &at, Retried); err != nil {
		return err
	}
	return expect("heartbeats", &at, 20)
}

func failures(p *place) error {
	err := p.result("w", nil, Refused)
	var refused *temporal.ApplicationError
	if !errors.As(err, &refused) {
		return fmt.Errorf("no application error: %w", err)
	}
	var what string
	return errors.Join(expect("type", refused.Type(), "Refused"), refused.Details(&what), expect("details", &what, "money"))
}

func signals(p *place) error {
	run, err := p.SignalWithStartWorkflow(p, p.options("w").ID, "put", "first", p.options("w"), Cart)
	if err != nil {
		return err
	}
	if err := p.SignalWorkflow(p, run.GetID(), "", "put", "second"); err != nil {
		return err
	}
	answer, err := p.QueryWorkflow(p, run.GetID(), "", "items")
	if err != nil {
		return err
	}
	var items []string
	if err := errors.Join(answer.Get(&items), expect("items", &items, "[first second]")); err != nil {
		return err
	}
	if err := p.SignalWorkflow(p, run.GetID(), "", "close", true); err != nil {
		return err
	}
	if err := errors.Join(run.Get(p, &items), expect("result", &items, "[first second]")); err != nil {
		return err
	}
	if answer, err = p.QueryWorkflow(p, run.GetID(), "", "items"); err != nil { // of a closed run
		return err
	}
	return errors.Join(answer.Get(&items), expect("items", &items, "[first second]"))
}

func updates(p *place) error {
	run, err := p.ExecuteWorkflow(p, p.options("w"), Cart)
	if err != nil {
		return err
	}
	ask := client.UpdateWorkflowOptions{WorkflowID: run.GetID(), UpdateName: "add", UpdateID: "one",
		WaitForStage: client.WorkflowUpdateStageAccepted, Args: []any{"apple"}}
	accepted, err := p.UpdateWorkflow(p, ask)
	if err != nil {
		return err
	}
	var count int
	if err := errors.Join(accepted.Get(p, &count), expect("count", &count, 1)); err != nil {
		return err
	}
	again, err := p.UpdateWorkflow(p, ask) // the same id is the same update
	if err != nil {
		return err
	}
	if err := errors.Join(again.Get(p, &count), expect("count", &count, 1)); err != nil {
		return err
	}
	ask.UpdateID, ask.Args, ask.WaitForStage = "two", []any{""}, client.WorkflowUpdateStageCompleted
	refused, err := p.UpdateWorkflow(p, ask)
	if err == nil {
		err = refused.Get(p, nil)
	}
	if err == nil || !strings.Contains(err.Error(), "an item has a name") {
		return fmt.Errorf("the validator did not refuse: %w", err)
	}
	if err := p.SignalWorkflow(p, run.GetID(), "", "close", true); err != nil {
		return err
	}
	var items []string
	return errors.Join(run.Get(p, &items), expect("items", &items, "[apple]"))
}

func updateWithStart(p *place) error {
	options := p.options("w")
	options.WorkflowIDConflictPolicy = enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	for i, item := range []string{"apple", "pear"} {
		start := p.NewWithStartWorkflowOperation(options, Cart)
		update, err := p.UpdateWithStartWorkflow(p, client.UpdateWithStartWorkflowOptions{StartWorkflowOperation: start,
			UpdateOptions: client.UpdateWorkflowOptions{WorkflowID: options.ID, UpdateName: "add", Args: []any{item},
				WaitForStage: client.WorkflowUpdateStageCompleted}})
		if err != nil {
			return err
		}
		var count int
		if err := errors.Join(update.Get(p, &count), expect("count", &count, i+1)); err != nil {
			return err
		}
	}
	return p.SignalWorkflow(p, options.ID, "", "close", true)
}

func children(p *place) error {
	var said string
	return errors.Join(p.result("w", &said, Parent), expect("greeting", &said, "Hello child!"))
}

func external(p *place) error {
	id := p.queue + "-left"
	if err := p.result("w", nil, Orphan, id); err != nil {
		return err
	}
	if err := p.result("teller", nil, Teller, id); err != nil {
		return err
	}
	if err := p.SignalWorkflow(p, id, "", "close", true); err != nil {
		return err
	}
	var items []string
	return errors.Join(p.GetWorkflow(p, id, "").Get(p, &items), expect("items", &items, "[from afar]"))
}

func continued(p *place) error {
	var n int
	return errors.Join(p.result("w", &n, Count, 1), expect("count", &n, 5))
}

func cancellation(p *place) error {
	run, err := p.ExecuteWorkflow(p, p.options("w"), Cancellable)
	if err != nil {
		return err
	}
	err = p.until("the activity's start", func() (bool, error) {
		now, err := p.DescribeWorkflowExecution(p, run.GetID(), "")
		return err == nil && len(now.PendingActivities) == 1 &&
			now.PendingActivities[0].State == enums.PENDING_ACTIVITY_STATE_STARTED, err
	})
	if err != nil {
		return err
	}
	if err := p.CancelWorkflow(p, run.GetID(), ""); err != nil {
		return err
	}
	if err := run.Get(p, nil); !temporal.IsCanceledError(err) {
		return fmt.Errorf("it ended with %w", err)
	}
	return nil
}

func saga(p *place) error {
	var undone []string
	return errors.Join(p.result("w", &undone, Saga), expect("undone", &undone, "[no hotel no flight]"))
}

func sideEffects(p *place) error {
	var same bool
	return errors.Join(p.result("w", &same, Dice), expect("the same", &same, true))
}

func race(p *place) error {
	var winner string
	return errors.Join(p.result("w", &winner, Race), expect("winner", &winner, "Hello you!"))
}

func session(p *place) error {
	var last string
	return errors.Join(p.result("w", &last, Session), expect("last", &last, "second"))
}

func workflowRetries(p *place) error {
	options := p.options("w")
	options.RetryPolicy = &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond, MaximumAttempts: 5}
	run, err := p.ExecuteWorkflow(p, options, Flaky)
	if err != nil {
		return err
	}
	var attempt int32
	return errors.Join(run.Get(p, &attempt), expect("attempt", &attempt, 3))
}

func startDelay(p *place) error {
	options := p.options("w")
	options.StartDelay = time.Second
	began := time.Now()
	run, err := p.ExecuteWorkflow(p, options, Hello, "late")
	if err != nil {
		return err
	}
	if err := run.Get(p, nil); err != nil {
		return err
	}
	return expect("it waited", time.Since(began) > 900*time.Millisecond, true)
}

func completedLater(p *place) error {
	run, err := p.ExecuteWorkflow(p, p.options("w"), Pending)
	if err != nil {
		return err
	}
	var id string
	err = p.until("the activity's start", func() (bool, error) {
		now, err := p.DescribeWorkflowExecution(p, run.GetID(), "")
		if err != nil || len(now.PendingActivities) == 0 {
			return false, err
		}
		id = now.PendingActivities[0].ActivityId
		return now.PendingActivities[0].State == enums.PENDING_ACTIVITY_STATE_STARTED, nil
	})
	if err != nil {
		return err
	}
	if err := p.CompleteActivityByID(p, namespace, run.GetID(), run.GetRunID(), id, "by hand", nil); err != nil {
		return err
	}
	var said string
	return errors.Join(run.Get(p, &said), expect("result", &said, "by hand"))
}

func reset(p *place) error {
	run, err := p.SignalWithStartWorkflow(p, p.options("w").ID, "put", "kept", p.options("w"), Cart)
	if err != nil {
		return err
	}
	if _, err := p.QueryWorkflow(p, run.GetID(), "", "items"); err != nil { // so a task was completed
		return err
	}
	if err := p.SignalWorkflow(p, run.GetID(), "", "put", "reapplied"); err != nil {
		return err
	}
	var first int64
	history := p.GetWorkflowHistory(p, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() && first == 0 {
		event, err := history.Next()
		if err != nil {
			return err
		}
		if event.EventType == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			first = event.EventId
		}
	}
	answer, err := p.ResetWorkflowExecution(p, &workflowservice.ResetWorkflowExecutionRequest{Namespace: namespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()}, Reason: "again",
		WorkflowTaskFinishEventId: first, RequestId: p.queue})
	if err != nil {
		return err
	}
	if err := p.SignalWorkflow(p, run.GetID(), "", "close", true); err != nil {
		return err
	}
	var items []string
	return errors.Join(p.GetWorkflow(p, run.GetID(), answer.RunId).Get(p, &items),
		expect("items", &items, "[kept reapplied]"))
}

func terminate(p *place) error {
	run, err := p.ExecuteWorkflow(p, p.options("w"), Cart)
	if err != nil {
		return err
	}
	if err := p.TerminateWorkflow(p, run.GetID(), "", "enough", "said so"); err != nil {
		return err
	}
	var ended *temporal.TerminatedError
	if err := run.Get(p, nil); !errors.As(err, &ended) {
		return fmt.Errorf("it ended with %w", err)
	}
	return nil
}

func search(p *place) error {
	_, err := p.OperatorService().AddSearchAttributes(p, &operatorservice.AddSearchAttributesRequest{Namespace: namespace,
		SearchAttributes: map[string]enums.IndexedValueType{"GoMark": enums.INDEXED_VALUE_TYPE_KEYWORD}})
	if err != nil && !strings.Contains(err.Error(), "already exist") {
		return err
	}
	// A real server takes some moments to know a new attribute.
	err = p.until("the attribute", func() (bool, error) {
		return p.result("w", nil, Searched, p.queue) == nil, nil
	})
	if err != nil {
		return err
	}
	query := fmt.Sprintf("GoMark = '%s' AND WorkflowType = 'Searched'", p.queue)
	err = p.until("the list", func() (bool, error) {
		found, err := p.ListWorkflow(p, &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		return err == nil && len(found.Executions) >= 1 &&
			found.Executions[0].Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED &&
			found.Executions[0].Memo.Fields["mark"] != nil, err
	})
	if err != nil {
		return err
	}
	count, err := p.CountWorkflow(p, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return err
	}
	return expect("counted", count.Count >= 1, true)
}

func schedule(p *place) error {
	schedules := p.ScheduleClient()
	made, err := schedules.Create(p, client.ScheduleOptions{ID: p.queue,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}},
		Action: &client.ScheduleWorkflowAction{ID: p.queue + "-w", Workflow: Hello, Args: []any{"schedule"},
			TaskQueue: p.queue},
		Memo: map[string]any{"team": "sdk"}})
	if err != nil {
		return err
	}
	if err := made.Trigger(p, client.ScheduleTriggerOptions{}); err != nil {
		return err
	}
	var id string
	err = p.until("the scheduled run", func() (bool, error) {
		now, err := made.Describe(p)
		if err != nil || len(now.Info.RecentActions) == 0 {
			return false, err
		}
		id = now.Info.RecentActions[0].StartWorkflowResult.WorkflowID
		return len(now.Info.NextActionTimes) > 0, nil
	})
	if err != nil {
		return err
	}
	var said string
	if err := errors.Join(p.GetWorkflow(p, id, "").Get(p, &said), expect("greeting", &said, "Hello schedule!")); err != nil {
		return err
	}
	if err := made.Pause(p, client.SchedulePauseOptions{Note: "rest"}); err != nil {
		return err
	}
	now, err := made.Describe(p)
	if err != nil {
		return err
	}
	if err := errors.Join(expect("paused", now.Schedule.State.Paused, true),
		expect("note", now.Schedule.State.Note, "rest")); err != nil {
		return err
	}
	err = made.Update(p, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		in.Description.Schedule.Spec.Intervals = []client.ScheduleIntervalSpec{{Every: 2 * time.Hour}}
		return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
	}})
	if err != nil {
		return err
	}
	err = p.until("the schedule in the list", func() (bool, error) {
		list, err := schedules.List(p, client.ScheduleListOptions{PageSize: 100})
		for err == nil && list.HasNext() {
			entry, err := list.Next()
			if err != nil {
				return false, err
			}
			if entry.ID == p.queue {
				return true, nil
			}
		}
		return false, err
	})
	return errors.Join(err, made.Delete(p))
}

func cron(p *place) error {
	options := p.options("w")
	options.CronSchedule = "@every 1s"
	run, err := p.ExecuteWorkflow(p, options, Hello, "cron")
	if err != nil {
		return err
	}
	err = p.until("two runs", func() (bool, error) {
		now, err := p.DescribeWorkflowExecution(p, run.GetID(), "")
		return err == nil && now.WorkflowExecutionInfo.Execution.RunId != run.GetRunID(), err
	})
	return errors.Join(err, p.TerminateWorkflow(p, run.GetID(), "", "enough"))
}

// versions: a run that began with the old code ends with the old code's answer on a worker that has the new one.
func versions(p *place) error {
	for i, code := range []any{OldCode, NewCode} {
		stop, err := p.work(func(r worker.Registry) {
			r.RegisterWorkflowWithOptions(code, workflow.RegisterOptions{Name: "Changing"})
		})
		if err != nil {
			return err
		}
		id := fmt.Sprintf("run-%d", i)
		run, err := p.ExecuteWorkflow(p, p.options(id), "Changing")
		if err == nil {
			err = p.until("the first task", func() (bool, error) {
				now, err := p.DescribeWorkflowExecution(p, run.GetID(), "")
				return err == nil && now.WorkflowExecutionInfo.HistoryLength >= 4 && now.PendingWorkflowTask == nil, err
			})
		}
		for j := 0; i == 1 && j < 2 && err == nil; j++ {
			id := p.options(fmt.Sprintf("run-%d", j)).ID
			var said string
			err = errors.Join(p.SignalWorkflow(p, id, "", "go", true), p.GetWorkflow(p, id, "").Get(p, &said),
				expect("answer", &said, []string{"old", "new"}[j]))
		}
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// sealing is a codec: AES-256-GCM around each payload.
type sealing struct{ cipher.AEAD }

func (s sealing) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	sealed := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		plain, err := proto.Marshal(payload)
		if err != nil {
			return nil, err
		}
		nonce := make([]byte, s.NonceSize())
		if _, err := rand.Read(nonce); err != nil {
			return nil, err
		}
		sealed[i] = &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("binary/encrypted")},
			Data: s.Seal(nonce, nonce, plain, nil)}
	}
	return sealed, nil
}

func (s sealing) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	opened := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		plain, err := s.Open(nil, payload.Data[:s.NonceSize()], payload.Data[s.NonceSize():], nil)
		if err != nil {
			return nil, err
		}
		opened[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, opened[i]); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// encryption: the server never sees what the workflow is told.
func encryption(p *place) error {
	block, err := aes.NewCipher([]byte(strings.Repeat("k", 32)))
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	plain := p.Client
	sealed, err := client.NewClientFromExisting(plain, client.Options{Namespace: namespace, Logger: quiet,
		DataConverter: converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), sealing{gcm})})
	if err != nil {
		return err
	}
	defer sealed.Close()
	p.Client = sealed
	stop, err := p.work(everything)
	if err != nil {
		return err
	}
	defer stop()
	if err := hello(p); err != nil {
		return err
	}
	history := plain.GetWorkflowHistory(p, p.options("w").ID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return err
		}
		if text, err := proto.Marshal(event); err != nil || strings.Contains(string(text), "Hello Go!") {
			return fmt.Errorf("event %d is readable: %w", event.EventId, err)
		}
	}
	return nil
}
