// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

func withActivities(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 20 * time.Second,
		HeartbeatTimeout:    3 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond, MaximumAttempts: 5},
	})
}

// Greet and its like are the activities.
func Greet(_ context.Context, name string) (string, error) { return "Hello " + name + "!", nil }

// Climb fails until its third attempt, which goes on from the heartbeat of the second.
func Climb(ctx context.Context) (int, error) {
	at := 0
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &at); err != nil {
			return 0, err
		}
	}
	if activity.GetInfo(ctx).Attempt < 3 {
		activity.RecordHeartbeat(ctx, at+10)
		return 0, errors.New("slipped")
	}
	return at, nil
}

// Wait beats until it is cancelled.
func Wait(ctx context.Context) error {
	for {
		activity.RecordHeartbeat(ctx, "waiting")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Refuse fails for good.
func Refuse(_ context.Context, what string) error {
	return temporal.NewNonRetryableApplicationError("no "+what, "Refused", nil, what)
}

// Later is completed by somebody else.
func Later(ctx context.Context) (string, error) { return "", activity.ErrResultPending }

// Note is what the saga books and takes back.
func Note(_ context.Context, what string) (string, error) { return what, nil }

func Hello(ctx workflow.Context, name string) (out string, err error) {
	err = workflow.ExecuteActivity(withActivities(ctx), Greet, name).Get(ctx, &out)
	return
}

func Local(ctx workflow.Context, name string) (out string, err error) {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{ScheduleToCloseTimeout: 5 * time.Second})
	for range 3 {
		if err = workflow.ExecuteLocalActivity(local, Greet, name).Get(ctx, &name); err != nil {
			return
		}
	}
	return name, nil
}

func Retried(ctx workflow.Context) (out int, err error) {
	err = workflow.ExecuteActivity(withActivities(ctx), Climb).Get(ctx, &out)
	return
}

func Refused(ctx workflow.Context) error {
	return workflow.ExecuteActivity(withActivities(ctx), Refuse, "money").Get(ctx, nil)
}

func Pending(ctx workflow.Context) (out string, err error) {
	err = workflow.ExecuteActivity(withActivities(ctx), Later).Get(ctx, &out)
	return
}

// Cart is told by signals and updates what it holds, and asked by queries.
func Cart(ctx workflow.Context) ([]string, error) {
	var items []string
	closed := false
	if err := workflow.SetQueryHandler(ctx, "items", func() ([]string, error) { return items, nil }); err != nil {
		return nil, err
	}
	add := func(ctx workflow.Context, item string) (int, error) {
		if err := workflow.ExecuteActivity(withActivities(ctx), Note, item).Get(ctx, &item); err != nil {
			return 0, err
		}
		items = append(items, item)
		return len(items), nil
	}
	check := func(item string) error {
		if item == "" {
			return errors.New("an item has a name")
		}
		return nil
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, "add", add, workflow.UpdateHandlerOptions{Validator: check})
	if err != nil {
		return nil, err
	}
	put := workflow.NewSelector(ctx)
	put.AddReceive(workflow.GetSignalChannel(ctx, "put"), func(c workflow.ReceiveChannel, _ bool) {
		var item string
		c.Receive(ctx, &item)
		items = append(items, item)
	})
	put.AddReceive(workflow.GetSignalChannel(ctx, "close"), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, &closed)
	})
	for !closed || put.HasPending() {
		put.Select(ctx)
	}
	err = workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	return items, err
}

// Parent has two children; one is cancelled.
func Parent(ctx workflow.Context) (string, error) {
	var name string
	children := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WaitForCancellation: true})
	if err := workflow.ExecuteChildWorkflow(children, Hello, "child").Get(ctx, &name); err != nil {
		return "", err
	}
	scope, cancel := workflow.WithCancel(children)
	second := workflow.ExecuteChildWorkflow(scope, Cancellable)
	if err := second.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		return "", err
	}
	cancel()
	if err := second.Get(ctx, nil); !temporal.IsCanceledError(err) {
		return "", fmt.Errorf("the child ended with %w", err)
	}
	return name, nil
}

// Orphan leaves a child behind.
func Orphan(ctx workflow.Context, id string) error {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id, ParentClosePolicy: 2 /* abandon */})
	return workflow.ExecuteChildWorkflow(ctx, Cart).GetChildWorkflowExecution().Get(ctx, nil)
}

// Teller signals another workflow.
func Teller(ctx workflow.Context, id string) error {
	return workflow.SignalExternalWorkflow(ctx, id, "", "put", "from afar").Get(ctx, nil)
}

func Count(ctx workflow.Context, n int) (int, error) {
	if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
		return 0, err
	}
	if n < 5 {
		return 0, workflow.NewContinueAsNewError(ctx, Count, n+1)
	}
	return n, nil
}

// Cancellable cleans up after it was cancelled.
func Cancellable(ctx workflow.Context) error {
	err := workflow.ExecuteActivity(withActivities(ctx), Wait).Get(ctx, nil)
	after, _ := workflow.NewDisconnectedContext(ctx)
	var said string
	if err := workflow.ExecuteActivity(withActivities(after), Note, "cleaned").Get(after, &said); err != nil {
		return err
	}
	return err
}

// Saga books three things, fails at the third, and takes the others back.
func Saga(ctx workflow.Context) (undone []string, err error) {
	ctx = withActivities(ctx)
	booked := []string{}
	for _, what := range []string{"flight", "hotel"} {
		if err := workflow.ExecuteActivity(ctx, Note, what).Get(ctx, nil); err != nil {
			return nil, err
		}
		booked = append(booked, what)
	}
	if err := workflow.ExecuteActivity(ctx, Refuse, "car").Get(ctx, nil); err == nil {
		return nil, errors.New("there was a car")
	}
	for i := len(booked) - 1; i >= 0; i-- {
		var what string
		if err := workflow.ExecuteActivity(ctx, Note, "no "+booked[i]).Get(ctx, &what); err != nil {
			return nil, err
		}
		undone = append(undone, what)
	}
	return undone, nil
}

// OldCode and NewCode are one workflow type before and after a change.
func OldCode(ctx workflow.Context) (string, error) {
	var go_ bool
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &go_)
	return "old", nil
}

func NewCode(ctx workflow.Context) (string, error) {
	version := workflow.GetVersion(ctx, "change", workflow.DefaultVersion, 1)
	var go_ bool
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &go_)
	if version == workflow.DefaultVersion {
		return "old", nil
	}
	return "new", nil
}

// Dice shows side effects, random values and time that replay.
func Dice(ctx workflow.Context) (bool, error) {
	var first, again int64
	if err := workflow.SideEffect(ctx, func(workflow.Context) any { return time.Now().UnixNano() }).Get(&first); err != nil {
		return false, err
	}
	changeable := func() converterValue {
		return workflow.MutableSideEffect(ctx, "dice", func(workflow.Context) any { return first },
			func(a, b any) bool { return a == b })
	}
	if err := changeable().Get(&again); err != nil {
		return false, err
	}
	began := workflow.Now(ctx)
	if err := workflow.Sleep(ctx, 20*time.Millisecond); err != nil {
		return false, err
	}
	return first == again && workflow.Now(ctx).Sub(began) >= 20*time.Millisecond, nil
}

type converterValue interface{ Get(valuePtr any) error }

// Searched says of itself what lists can ask for.
func Searched(ctx workflow.Context, mark string) error {
	key := temporal.NewSearchAttributeKeyKeyword("GoMark")
	if err := workflow.UpsertTypedSearchAttributes(ctx, key.ValueSet(mark)); err != nil {
		return err
	}
	return workflow.UpsertMemo(ctx, map[string]any{"mark": mark})
}

// Session runs two activities on one worker.
func Session(ctx workflow.Context) (out string, err error) {
	session, err := workflow.CreateSession(withActivities(ctx), &workflow.SessionOptions{
		CreationTimeout: 10 * time.Second, ExecutionTimeout: 20 * time.Second})
	if err != nil {
		return "", err
	}
	defer workflow.CompleteSession(session)
	if err = workflow.ExecuteActivity(session, Note, "first").Get(session, nil); err != nil {
		return "", err
	}
	err = workflow.ExecuteActivity(session, Note, "second").Get(session, &out)
	return
}

// Race shows a selector: the timer loses.
func Race(ctx workflow.Context) (winner string, err error) {
	scope, cancel := workflow.WithCancel(ctx)
	defer cancel()
	choice := workflow.NewSelector(ctx)
	choice.AddFuture(workflow.NewTimer(scope, time.Hour), func(workflow.Future) { winner = "timer" })
	choice.AddFuture(workflow.ExecuteActivity(withActivities(ctx), Greet, "you"), func(f workflow.Future) {
		err = f.Get(ctx, &winner)
	})
	choice.Select(ctx)
	return
}

// Fails a number of times, by its own retry policy.
func Flaky(ctx workflow.Context) (int32, error) {
	attempt := workflow.GetInfo(ctx).Attempt
	if attempt < 3 {
		return 0, errors.New("not yet")
	}
	return attempt, nil
}
