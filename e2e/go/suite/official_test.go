package suite

import (
	"context"
	"testing"
)

// TestOfficial is containerd's own suite, every sub-test on a fresh server, through containerd's proxy client.
func TestOfficial(t *testing.T) {
	// "overlayfs" tells the suite that renaming a directory of a lower layer fails with EXDEV.
	officialSuite(t, "overlayfs",
		func(ctx context.Context, root string) (snapshotter, func() error, error) {
			started, err := startServer(ctx, root)
			if err != nil {
				return nil, nil, err
			}
			return newProxy(started.client, snapshotterName), started.stop, nil
		})
}
