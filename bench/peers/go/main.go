// SPDX-License-Identifier: Apache-2.0

// The workflows of modules/echo and modules/loadtest that the benchmark runs, served by the Go SDK.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

type input struct {
	N  int `json:"n"`
	MS int `json:"ms"`
}

func withOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
}

func echo(_ context.Context, value json.RawMessage) (json.RawMessage, error) {
	return value, nil
}

func echoWorkflow(ctx workflow.Context, value json.RawMessage) (json.RawMessage, error) {
	var result json.RawMessage
	err := workflow.ExecuteActivity(withOptions(ctx), "echo", value).Get(ctx, &result)
	return result, err
}

func chainWorkflow(ctx workflow.Context, in input) (int, error) {
	ctx = withOptions(ctx)
	sum := 0
	for i := 0; i < in.N; i++ {
		var value int
		if err := workflow.ExecuteActivity(ctx, "echo", i).Get(ctx, &value); err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

func fanWorkflow(ctx workflow.Context, in input) (int, error) {
	ctx = withOptions(ctx)
	futures := make([]workflow.Future, in.N)
	for i := range futures {
		futures[i] = workflow.ExecuteActivity(ctx, "echo", i)
	}
	sum := 0
	for _, future := range futures {
		var value int
		if err := future.Get(ctx, &value); err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

func signalWorkflow(ctx workflow.Context, in input) (int, error) {
	pings := workflow.GetSignalChannel(ctx, "ping")
	for i := 0; i < in.N; i++ {
		pings.Receive(ctx, nil)
	}
	return in.N, nil
}

func timerWorkflow(ctx workflow.Context, in input) (int, error) {
	timers := make([]workflow.Future, in.N)
	for i := range timers {
		timers[i] = workflow.NewTimer(ctx, time.Duration(in.MS)*time.Millisecond)
	}
	for _, timer := range timers {
		if err := timer.Get(ctx, nil); err != nil {
			return 0, err
		}
	}
	return in.N, nil
}

func run() error {
	address := flag.String("address", "127.0.0.1:7233", "server")
	queue := flag.String("task-queue", "benchmark", "task queue")
	polls := flag.Int("polls", 10, "long polls for workflow tasks")
	slots := flag.Int("slots", 100, "workflow tasks at once")
	activityPolls := flag.Int("activity-polls", 10, "long polls for activity tasks")
	activitySlots := flag.Int("activity-slots", 100, "activities at once")
	flag.Parse()
	quiet := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	c, err := client.Dial(client.Options{HostPort: *address, Logger: quiet})
	if err != nil {
		return err
	}
	defer c.Close()
	w := worker.New(c, *queue, worker.Options{
		MaxConcurrentWorkflowTaskPollers:       *polls,
		MaxConcurrentActivityTaskPollers:       *activityPolls,
		MaxConcurrentWorkflowTaskExecutionSize: *slots,
		MaxConcurrentActivityExecutionSize:     *activitySlots,
	})
	w.RegisterWorkflowWithOptions(echoWorkflow, workflow.RegisterOptions{Name: "EchoWorkflow"})
	w.RegisterWorkflowWithOptions(chainWorkflow, workflow.RegisterOptions{Name: "ChainWorkflow"})
	w.RegisterWorkflowWithOptions(fanWorkflow, workflow.RegisterOptions{Name: "FanWorkflow"})
	w.RegisterWorkflowWithOptions(signalWorkflow, workflow.RegisterOptions{Name: "SignalWorkflow"})
	w.RegisterWorkflowWithOptions(timerWorkflow, workflow.RegisterOptions{Name: "TimerWorkflow"})
	w.RegisterActivity(echo)
	fmt.Println("go-worker: ready")
	return w.Run(worker.InterruptCh())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-worker:", err)
		os.Exit(1)
	}
}
