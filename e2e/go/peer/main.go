// Command peer serves containerd's own overlayfs snapshotter, with its bolt metadata store, over containerd's
// snapshot protocol: the reference that aeon is compared with.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/contrib/snapshotservice"
	"github.com/containerd/containerd/snapshots/overlay"
	"google.golang.org/grpc"
)

func main() {
	root := flag.String("root", "", "folder of the snapshotter")
	socket := flag.String("socket", "", "Unix socket to listen on")
	flag.Parse()
	if *root == "" || *socket == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := serve(*root, *socket); err != nil {
		log.Fatal(err)
	}
}

// endOfInput tells when whoever started this process is gone.
func endOfInput() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	return ended
}

func serve(root, socket string) error {
	snapshotter, err := overlay.NewSnapshotter(filepath.Clean(root), overlay.AsynchronousRemove)
	if err != nil {
		return err
	}
	defer snapshotter.Close()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		select {
		case <-signals:
		case <-endOfInput():
		}
		server.GracefulStop()
	}()
	return server.Serve(listener)
}
