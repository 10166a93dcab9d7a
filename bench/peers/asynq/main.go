// SPDX-License-Identifier: Apache-2.0

// The echo job on asynq: its worker, a producer that awaits each result, and one that only fills the queue.
//
//	asynq-jobs PORT worker
//	asynq-jobs PORT loop COUNT CONCURRENCY     (prints one line of JSON)
//	asynq-jobs PORT fill COUNT
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

const (
	concurrency = 50
	retention   = time.Minute          // a result can be read as long as its task is kept
	look        = 5 * time.Millisecond // between two looks for a result: asynq has no call that waits for one
	idle        = 5 * time.Millisecond // between two looks of an idle worker, in place of a second
)

func echo(_ context.Context, task *asynq.Task) error {
	_, err := task.ResultWriter().Write(task.Payload())
	return err
}

func work(redis asynq.RedisClientOpt) error {
	server := asynq.NewServer(redis, asynq.Config{Concurrency: concurrency, TaskCheckInterval: idle,
		LogLevel: asynq.ErrorLevel})
	mux := asynq.NewServeMux()
	mux.HandleFunc("echo", echo)
	return server.Run(mux)
}

// call enqueues one task and waits until its result is there.
func call(client *asynq.Client, inspector *asynq.Inspector) error {
	info, err := client.Enqueue(asynq.NewTask("echo", []byte("hello")), asynq.Retention(retention))
	if err != nil {
		return err
	}
	for info.State != asynq.TaskStateCompleted {
		if info.State == asynq.TaskStateRetry || info.State == asynq.TaskStateArchived {
			return fmt.Errorf("a task failed: %s", info.LastErr)
		}
		time.Sleep(look)
		if info, err = inspector.GetTaskInfo("default", info.ID); err != nil {
			return err
		}
	}
	if string(info.Result) != "hello" {
		return fmt.Errorf("a result is wrong: %q", info.Result)
	}
	return nil
}

// each runs step count times in so many goroutines; the times in milliseconds, sorted, and the first error.
func each(count, goroutines int, step func() error) ([]float64, error) {
	var started atomic.Int64
	var mu sync.Mutex // guards latencies, failed
	var latencies []float64
	var failed error
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for started.Add(1) <= int64(count) {
				begin := time.Now()
				err := step()
				mu.Lock()
				latencies = append(latencies, float64(time.Since(begin))/1e6)
				if failed == nil {
					failed = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	slices.Sort(latencies)
	return latencies, failed
}

func loop(redis asynq.RedisClientOpt, count, goroutines int) error {
	client, inspector := asynq.NewClient(redis), asynq.NewInspector(redis)
	begin := time.Now()
	latencies, err := each(count, goroutines, func() error { return call(client, inspector) })
	if err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	percentile := func(p int) float64 { return latencies[max(0, (len(latencies)*p+99)/100-1)] } // nearest rank
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"completed": float64(count), "elapsedMs": seconds * 1000, "workflowsPerSecond": float64(count) / seconds,
		"p50Ms": percentile(50), "p95Ms": percentile(95), "p99Ms": percentile(99)})
}

func fill(redis asynq.RedisClientOpt, count int) error {
	client := asynq.NewClient(redis)
	_, err := each(count, concurrency, func() error {
		_, err := client.Enqueue(asynq.NewTask("echo", []byte("hello")))
		return err
	})
	return err
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: asynq-jobs PORT worker|loop|fill [NUMBER ...]")
	}
	numbers := make([]int, len(args)-2)
	for i, word := range args[2:] {
		number, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		numbers[i] = number
	}
	redis := asynq.RedisClientOpt{Addr: "127.0.0.1:" + args[0], PoolSize: 2 * concurrency}
	switch {
	case args[1] == "worker":
		return work(redis)
	case args[1] == "loop" && len(numbers) == 2:
		return loop(redis, numbers[0], numbers[1])
	case args[1] == "fill" && len(numbers) == 1:
		return fill(redis, numbers[0])
	}
	return fmt.Errorf("what is %q?", args[1:])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "asynq-jobs:", err)
		os.Exit(1)
	}
}
