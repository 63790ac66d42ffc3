package suite

import (
	"context"
	"testing"

	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/containerd/containerd/snapshots/testsuite"
)

// TestOfficial is containerd's own suite, every sub-test on a fresh server, through containerd's proxy client.
func TestOfficial(t *testing.T) {
	// "overlayfs" tells the suite that renaming a directory of a lower layer fails with EXDEV.
	testsuite.SnapshotterSuite(t, "overlayfs",
		func(ctx context.Context, root string) (snapshots.Snapshotter, func() error, error) {
			started, err := startServer(ctx, root)
			if err != nil {
				return nil, nil, err
			}
			return proxy.NewSnapshotter(started.client, snapshotterName), started.stop, nil
		})
}
