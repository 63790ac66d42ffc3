package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// commandVariable holds a JSON array: a program that takes `--root DIR --socket PATH`, serves a snapshotter there, and
	// ends on SIGTERM or when its standard input ends.
	commandVariable = "AEON_CONFORMANCE_SERVER"
	// referenceVariable is set when the server is containerd's own snapshotter, which lacks what newer clients send.
	referenceVariable = "AEON_CONFORMANCE_REFERENCE"
	startLimit        = 30 * time.Second
	stopLimit         = 20 * time.Second
	// snapshotterName is what the proxy plugin is called in containerd's configuration.
	snapshotterName = "aeon"
)

// server is one running snapshotter process and a connection to it.
type server struct {
	client     snapshotsapi.SnapshotsClient
	connection *grpc.ClientConn
	process    *exec.Cmd
	exited     chan error
	folder     string
}

// startServer runs the configured command on a root and connects to it as containerd's proxy plugin does.
func startServer(ctx context.Context, root string) (*server, error) {
	var command []string
	if err := json.Unmarshal([]byte(os.Getenv(commandVariable)), &command); err != nil || len(command) == 0 {
		return nil, fmt.Errorf("%s must be a JSON array of a command and its arguments: %w", commandVariable, err)
	}
	// Not below root: that folder belongs to the snapshotter.
	folder, err := os.MkdirTemp("", "aeon-conformance-")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(folder, "snapshotter.sock")
	process := exec.Command(command[0], append(command[1:], "--root", root, "--socket", socket)...)
	process.Stdout, process.Stderr = os.Stderr, os.Stderr
	// The server ends when this pipe does, so that none survives a test run that is killed.
	if _, err := process.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := process.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	started := &server{process: process, exited: make(chan error, 1), folder: folder}
	go func() { started.exited <- process.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	started.connection, err = grpc.DialContext(ctx, dialAddress(socket),
		grpc.WithBlock(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(contextDialer),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxReceive),
			grpc.MaxCallSendMsgSize(maxSend),
		))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshotter did not listen on %s: %w", socket, err), started.stop())
	}
	started.client = snapshotsapi.NewSnapshotsClient(started.connection)
	return started, nil
}

// stop ends the process in the orderly way and reports when it did not end well.
func (s *server) stop() error {
	var failures []error
	if s.connection != nil {
		failures = append(failures, s.connection.Close())
	}
	failures = append(failures, s.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-s.exited:
		failures = append(failures, err)
	case <-time.After(stopLimit):
		failures = append(failures, fmt.Errorf("snapshotter still runs %s after SIGTERM", stopLimit), s.process.Process.Kill())
	}
	return errors.Join(append(failures, os.RemoveAll(s.folder))...)
}

// serverFor starts a server on a fresh root and stops it when the test ends.
func serverFor(t *testing.T) *server {
	t.Helper()
	started, err := startServer(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return started
}

// reference tells whether the server is one that is known not to meet some checks.
func reference() bool { return os.Getenv(referenceVariable) != "" }
