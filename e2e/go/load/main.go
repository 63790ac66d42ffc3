// Command load measures a snapshotter through containerd's gRPC client. It reads one JSON request per line from
// standard input, runs it, and answers one JSON line, so that a harness can alternate between servers while
// connections stay warm, as containerd's does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/defaults"
	"github.com/containerd/containerd/pkg/dialer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// request says what to measure.
type request struct {
	// Do is one of chain, cycles, populate, list, stat, clear, cleanup.
	Do string `json:"do"`
	// Count is how many layers, cycles, snapshots or calls.
	Count int `json:"count"`
	// Workers run at the same time; 0 is 1.
	Workers int `json:"workers"`
}

// result holds durations in microseconds.
type result struct {
	TotalMicroseconds float64            `json:"totalMicroseconds"`
	P50Microseconds   float64            `json:"p50Microseconds"`
	P99Microseconds   float64            `json:"p99Microseconds"`
	Calls             map[string]float64 `json:"p50OfCalls,omitempty"`
	Count             int                `json:"count"`
	Error             string             `json:"error,omitempty"`
}

type load struct {
	client snapshotsapi.SnapshotsClient
	top    string
	next   atomic.Int64
}

func main() {
	socket := flag.String("socket", "", "Unix socket of the snapshotter")
	flag.Parse()
	connection, err := grpc.Dial(dialer.DialAddress(*socket),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer.ContextDialer),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
			grpc.MaxCallSendMsgSize(defaults.DefaultMaxSendMsgSize),
		))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	l := &load{client: snapshotsapi.NewSnapshotsClient(connection)}
	l.next.Store(time.Now().UnixNano())
	input := bufio.NewScanner(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var asked request
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		answer, err := l.run(context.Background(), asked)
		if err != nil {
			answer.Error = err.Error()
		}
		if err := output.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}

func (l *load) run(ctx context.Context, asked request) (result, error) {
	start := time.Now()
	var samples []sample
	var err error
	switch asked.Do {
	case "chain":
		err = l.chain(ctx, asked.Count)
	case "cycles":
		samples, err = spread(asked, func(int) (sample, error) { return l.cycle(ctx) })
	case "populate":
		samples, err = spread(asked, func(number int) (sample, error) {
			return timed("prepare", func() error { return l.prepare(ctx, populated(number)) })
		})
	case "stat":
		samples, err = spread(asked, func(number int) (sample, error) {
			return timed("stat", func() error { return l.stat(ctx, populated(number)) })
		})
	case "list":
		samples, err = spread(asked, func(int) (sample, error) {
			return timed("list", func() error { return l.list(ctx) })
		})
	case "clear":
		samples, err = spread(asked, func(number int) (sample, error) {
			return timed("remove", func() error { return l.remove(ctx, populated(number)) })
		})
	case "cleanup":
		err = l.cleanup(ctx)
	default:
		err = fmt.Errorf("unknown request %q", asked.Do)
	}
	return summarise(samples, time.Since(start)), err
}

func populated(number int) string { return fmt.Sprintf("k8s.io/%d/populated", number) }

// chain commits layers on top of each other; cycles use the top one as their parent.
func (l *load) chain(ctx context.Context, layers int) error {
	for range layers {
		key := l.fresh("extract")
		name := l.fresh("layer")
		if _, err := l.client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: key, Parent: l.top}); err != nil {
			return err
		}
		if _, err := l.client.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Key: key, Name: name}); err != nil {
			return err
		}
		l.top = name
	}
	return nil
}

func (l *load) fresh(what string) string { return fmt.Sprintf("k8s.io/%d/%s", l.next.Add(1), what) }

// cycle is what the snapshotter sees of one container: Prepare, Mounts, Remove.
func (l *load) cycle(ctx context.Context) (sample, error) {
	key := l.fresh("container")
	taken := sample{calls: map[string]time.Duration{}}
	steps := []struct {
		name string
		run  func() error
	}{
		{"prepare", func() error { return l.prepare(ctx, key) }},
		{"mounts", func() error {
			_, err := l.client.Mounts(ctx, &snapshotsapi.MountsRequest{Key: key})
			return err
		}},
		{"remove", func() error { return l.remove(ctx, key) }},
	}
	for _, step := range steps {
		part, err := timed(step.name, step.run)
		if err != nil {
			return sample{}, err
		}
		taken.total += part.total
		taken.calls[step.name] = part.total
	}
	return taken, nil
}

func (l *load) prepare(ctx context.Context, key string) error {
	_, err := l.client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: key, Parent: l.top})
	return err
}

func (l *load) remove(ctx context.Context, key string) error {
	_, err := l.client.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Key: key})
	return err
}

func (l *load) stat(ctx context.Context, key string) error {
	_, err := l.client.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: key})
	return err
}

func (l *load) list(ctx context.Context) error {
	stream, err := l.client.List(ctx, &snapshotsapi.ListSnapshotsRequest{})
	if err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (l *load) cleanup(ctx context.Context) error {
	_, err := l.client.Cleanup(ctx, &snapshotsapi.CleanupRequest{})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}

// sample is one measured unit of work.
type sample struct {
	total time.Duration
	calls map[string]time.Duration
}

func timed(name string, work func() error) (sample, error) {
	start := time.Now()
	err := work()
	took := time.Since(start)
	return sample{total: took, calls: map[string]time.Duration{name: took}}, err
}

// spread runs work count times over the workers; the first error ends it.
func spread(asked request, work func(number int) (sample, error)) ([]sample, error) {
	samples := make([]sample, asked.Count)
	failures := make(chan error, max(asked.Workers, 1))
	var next atomic.Int64
	var group sync.WaitGroup
	for range max(asked.Workers, 1) {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				number := int(next.Add(1)) - 1
				if number >= asked.Count {
					return
				}
				taken, err := work(number)
				if err != nil {
					failures <- err
					next.Store(int64(asked.Count))
					return
				}
				samples[number] = taken
			}
		}()
	}
	group.Wait()
	close(failures)
	return samples, <-failures
}

func summarise(samples []sample, total time.Duration) result {
	totals := make([]time.Duration, 0, len(samples))
	calls := map[string][]time.Duration{}
	for _, taken := range samples {
		totals = append(totals, taken.total)
		for name, took := range taken.calls {
			calls[name] = append(calls[name], took)
		}
	}
	medians := map[string]float64{}
	for name, taken := range calls {
		medians[name] = quantile(taken, 0.5)
	}
	return result{
		TotalMicroseconds: microseconds(total),
		P50Microseconds:   quantile(totals, 0.5),
		P99Microseconds:   quantile(totals, 0.99),
		Calls:             medians,
		Count:             len(samples),
	}
}

func quantile(durations []time.Duration, q float64) float64 {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	return microseconds(durations[int(float64(len(durations)-1)*q)])
}

func microseconds(duration time.Duration) float64 { return float64(duration.Nanoseconds()) / 1e3 }
