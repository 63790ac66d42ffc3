//go:build containerd2

package suite

import (
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/dialer"
)

// What the suite takes from containerd's sources, release lines 2.x.
type (
	snapshotter  = snapshots.Snapshotter
	snapshotInfo = snapshots.Info
)

var (
	newProxy      = proxy.NewSnapshotter
	withLabels    = snapshots.WithLabels
	officialSuite = testsuite.SnapshotterSuite
	dialAddress   = dialer.DialAddress
	contextDialer = dialer.ContextDialer
)

const (
	maxReceive = defaults.DefaultMaxRecvMsgSize
	maxSend    = defaults.DefaultMaxSendMsgSize
)
