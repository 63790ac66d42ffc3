//go:build !containerd2

package suite

import (
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/containerd/containerd/snapshots/testsuite"
	"github.com/containerd/containerd/defaults"
	"github.com/containerd/containerd/pkg/dialer"
)

// What the suite takes from containerd's sources, release lines 1.x.
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
