// SPDX-License-Identifier: Apache-2.0

// The official Go SDK's client and worker on a server, feature by feature: `sdk-go HOST:PORT [NAME ...]`. Each scenario
// has a task queue and a worker of its own; one line a scenario, exit code 1 when one failed.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

const namespace = "default"

var quiet = log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))

// place is where a scenario plays: a client, and a task queue that nobody else uses.
type place struct {
	context.Context
	client.Client
	queue string
}

type scenario struct {
	name string
	play func(p *place) error
}

// work serves the place's queue until the function that it returns is called.
func (p *place) work(register func(r worker.Registry)) (stop func(), err error) {
	w := worker.New(p.Client, p.queue, worker.Options{EnableSessionWorker: true})
	register(w)
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w.Stop, nil
}

func (p *place) options(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: p.queue + "-" + id, TaskQueue: p.queue}
}

// result runs a workflow to its end.
func (p *place) result(id string, out any, workflow any, args ...any) error {
	run, err := p.ExecuteWorkflow(p, p.options(id), workflow, args...)
	if err != nil {
		return err
	}
	return run.Get(p, out)
}

// until asks again until done; lists of runs may lag behind.
func (p *place) until(what string, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-p.Done():
			return fmt.Errorf("%s did not happen", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// expect compares what is there with what should be; got may be a pointer to it.
func expect(what string, got, want any) error {
	if is := reflect.Indirect(reflect.ValueOf(got)); fmt.Sprint(is) != fmt.Sprint(want) {
		return fmt.Errorf("%s: %v instead of %v", what, is, want)
	}
	return nil
}

func run(address string, s scenario) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace, Logger: quiet})
	if err != nil {
		return err
	}
	defer c.Close()
	return s.play(&place{ctx, c, "go-" + s.name + "-" + uuid.NewString()[:8]})
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: sdk-go HOST:PORT [NAME ...]")
		os.Exit(64)
	}
	failed := 0
	var all sync.WaitGroup
	var printing sync.Mutex
	for _, s := range scenarios {
		if len(os.Args) > 2 && !slices.Contains(os.Args[2:], s.name) {
			continue
		}
		all.Add(1)
		go func() {
			defer all.Done()
			began := time.Now()
			err := run(os.Args[1], s)
			printing.Lock()
			defer printing.Unlock()
			if err != nil {
				failed++
				fmt.Printf("FAIL  %s: %v\n", s.name, err)
				return
			}
			fmt.Printf("ok    %s (%.1f s)\n", s.name, time.Since(began).Seconds())
		}()
	}
	all.Wait()
	if failed > 0 {
		os.Exit(1)
	}
}
