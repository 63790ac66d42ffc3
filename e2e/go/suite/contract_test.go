package suite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// newestLayer, child and so on are the snapshots that `populate` leaves behind.
const (
	baseLayer  = "base layer/sha256:1"
	otherLayer = "layer/other"
	activeKey  = "k8s.io/42/active one"
	viewKey    = "k8s.io/43/view"
	orphanKey  = "active-without-parent"
)

// populate makes two layers, an active snapshot and a view on the first, and an active snapshot without a parent.
func populate(t *testing.T, client snapshotsapi.SnapshotsClient) {
	t.Helper()
	ctx := context.Background()
	for _, layer := range []string{baseLayer, otherLayer} {
		_, err := client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: "extract " + layer})
		mustSucceed(t, err)
		_, err = client.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Key: "extract " + layer, Name: layer})
		mustSucceed(t, err)
	}
	_, err := client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: activeKey, Parent: baseLayer,
		Labels: map[string]string{"a.b/c": "1", "x": "old"}})
	mustSucceed(t, err)
	_, err = client.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: viewKey, Parent: baseLayer})
	mustSucceed(t, err)
	_, err = client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: orphanKey})
	mustSucceed(t, err)
}

func mustSucceed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// commitOnto builds the request of newer containerd versions, whose field 5 names the parent to be.
func commitOnto(name, key, parent string) *snapshotsapi.CommitSnapshotRequest {
	request := &snapshotsapi.CommitSnapshotRequest{Name: name, Key: key}
	field := protowire.AppendString(protowire.AppendTag(nil, 5, protowire.BytesType), parent)
	request.ProtoReflect().SetUnknown(field)
	return request
}

type call func(ctx context.Context, client snapshotsapi.SnapshotsClient) error

func prepare(key, parent string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: key, Parent: parent})
		return err
	}
}

func view(key, parent string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: key, Parent: parent})
		return err
	}
}

func mounts(key string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Mounts(ctx, &snapshotsapi.MountsRequest{Key: key})
		return err
	}
}

func commit(request *snapshotsapi.CommitSnapshotRequest) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Commit(ctx, request)
		return err
	}
}

func remove(key string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Key: key})
		return err
	}
}

func stat(key string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: key})
		return err
	}
}

func usage(key string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Usage(ctx, &snapshotsapi.UsageRequest{Key: key})
		return err
	}
}

func update(key string, labels map[string]string, paths ...string) call {
	return func(ctx context.Context, client snapshotsapi.SnapshotsClient) error {
		_, err := client.Update(ctx, &snapshotsapi.UpdateSnapshotRequest{
			Info:       &snapshotsapi.Info{Name: key, Labels: labels},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return err
	}
}

// TestStatusCodes checks what containerd's callers branch on, and that a refused call changes nothing.
func TestStatusCodes(t *testing.T) {
	cases := []struct {
		name    string
		call    call
		code    codes.Code
		message string
		// beyond says why the reference does not meet this check.
		beyond string
	}{
		{name: "stat unknown", call: stat("nothing"), code: codes.NotFound},
		{name: "mounts unknown", call: mounts("nothing"), code: codes.NotFound},
		{name: "usage unknown", call: usage("nothing"), code: codes.NotFound},
		{name: "remove unknown", call: remove("nothing"), code: codes.NotFound},
		{name: "update unknown", call: update("nothing", nil), code: codes.NotFound},
		{name: "commit unknown", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: "new", Key: "nothing"}), code: codes.NotFound},
		{name: "commit unknown to a taken name", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: baseLayer, Key: "nothing"}), code: codes.NotFound},
		{name: "prepare on unknown parent", call: prepare("new", "nothing"), code: codes.NotFound},
		{name: "view on unknown parent", call: view("new", "nothing"), code: codes.NotFound},
		{name: "prepare on active parent", call: prepare("new", activeKey), code: codes.InvalidArgument},
		{name: "prepare on view parent", call: prepare("new", viewKey), code: codes.InvalidArgument},
		{name: "view on active parent", call: view("new", activeKey), code: codes.InvalidArgument},
		{name: "prepare existing active", call: prepare(activeKey, baseLayer), code: codes.AlreadyExists},
		{name: "prepare existing view", call: prepare(viewKey, baseLayer), code: codes.AlreadyExists},
		{name: "prepare existing committed", call: prepare(baseLayer, ""), code: codes.AlreadyExists},
		{name: "view existing active", call: view(activeKey, baseLayer), code: codes.AlreadyExists},
		{name: "view existing committed", call: view(otherLayer, baseLayer), code: codes.AlreadyExists},
		{name: "commit to taken name", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: otherLayer, Key: activeKey}), code: codes.AlreadyExists},
		{name: "commit a view to a taken name", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: otherLayer, Key: viewKey}), code: codes.AlreadyExists},
		{name: "commit a view", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: "new", Key: viewKey}), code: codes.FailedPrecondition},
		{name: "commit a committed", call: commit(&snapshotsapi.CommitSnapshotRequest{Name: "new", Key: otherLayer}), code: codes.FailedPrecondition},
		{name: "commit onto another parent", call: commit(commitOnto("new", activeKey, otherLayer)), code: codes.InvalidArgument, beyond: "1.7 has no parent in Commit"},
		{name: "commit onto unknown parent", call: commit(commitOnto("new", orphanKey, "nothing")), code: codes.NotFound, beyond: "1.7 has no parent in Commit"},
		{name: "commit onto active parent", call: commit(commitOnto("new", orphanKey, activeKey)), code: codes.FailedPrecondition, beyond: "1.7 has no parent in Commit"},
		{name: "mounts of committed", call: mounts(baseLayer), code: codes.FailedPrecondition},
		{name: "remove with children", call: remove(baseLayer), code: codes.FailedPrecondition, message: "remove"},
		{name: "update name", call: update(activeKey, nil, "name"), code: codes.InvalidArgument},
		{name: "update parent", call: update(activeKey, nil, "parent"), code: codes.InvalidArgument},
		{name: "update kind", call: update(activeKey, nil, "kind"), code: codes.InvalidArgument},
		{name: "update created_at", call: update(activeKey, nil, "created_at"), code: codes.InvalidArgument},
		{name: "update empty path", call: update(activeKey, nil, ""), code: codes.InvalidArgument},
		{name: "update wrong case", call: update(activeKey, nil, "Labels"), code: codes.InvalidArgument},
		{name: "update valid then invalid path", call: update(activeKey, map[string]string{"x": "new"}, "labels.x", "kind"), code: codes.InvalidArgument},
	}
	started := serverFor(t)
	populate(t, started.client)
	ctx := context.Background()
	before := everything(t, started.client)
	for _, test := range cases {
		if test.beyond != "" && reference() {
			continue
		}
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			err := test.call(ctx, started.client)
			if status.Code(err) != test.code {
				t.Errorf("got %v, want code %s", err, test.code)
			}
			if test.message != "" && !strings.Contains(status.Convert(err).Message(), test.message) {
				t.Errorf("message %q does not contain %q", status.Convert(err).Message(), test.message)
			}
			if after := everything(t, started.client); !slices.Equal(before, after) {
				t.Errorf("a refused call changed the snapshots:\n%s\n%s", before, after)
			}
		})
	}
}

// everything prints every snapshot with all its fields, sorted by name.
func everything(t *testing.T, client snapshotsapi.SnapshotsClient) []string {
	t.Helper()
	var lines []string
	err := newProxy(client, snapshotterName).Walk(context.Background(), func(_ context.Context, info snapshotInfo) error {
		lines = append(lines, fmt.Sprintf("%q %q %s %d %d %q", info.Name, info.Parent, info.Kind,
			info.Created.UnixNano(), info.Updated.UnixNano(), sortedPairs(info.Labels)))
		return nil
	})
	mustSucceed(t, err)
	slices.Sort(lines)
	return lines
}

func sortedPairs(labels map[string]string) []string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return pairs
}

// TestTimestamps brackets each call with this process's clock: whatever is coarser or skewed falls outside.
func TestTimestamps(t *testing.T) {
	started := serverFor(t)
	proxied := newProxy(started.client, snapshotterName)
	ctx := context.Background()
	within := func(t *testing.T, what string, value, from, to time.Time) {
		t.Helper()
		if value.Before(from) || value.After(to) {
			t.Errorf("%s %s lies outside %s … %s", what, value, from, to)
		}
	}
	fine := 0
	for round := range 50 {
		key, name := fmt.Sprintf("active-%d", round), fmt.Sprintf("layer-%d", round)
		start := time.Now()
		_, err := proxied.Prepare(ctx, key, "", withLabels(map[string]string{"kept": "no"}))
		mustSucceed(t, err)
		prepared := time.Now()
		info, err := proxied.Stat(ctx, key)
		mustSucceed(t, err)
		within(t, "created", info.Created, start, prepared)
		if !info.Created.Equal(info.Updated) {
			t.Errorf("created %s and updated %s differ after Prepare", info.Created, info.Updated)
		}
		if info.Created.Nanosecond()%1_000 != 0 {
			fine++
		}

		changing := time.Now()
		updated, err := proxied.Update(ctx, snapshotInfo{Name: key, Labels: map[string]string{"a": "b"}}, "labels.a")
		mustSucceed(t, err)
		within(t, "updated", updated.Updated, changing, time.Now())
		if !updated.Created.Equal(info.Created) {
			t.Errorf("Update moved created from %s to %s", info.Created, updated.Created)
		}

		committing := time.Now()
		mustSucceed(t, proxied.Commit(ctx, name, key, withLabels(map[string]string{"own": "yes", "empty": ""})))
		committed, err := proxied.Stat(ctx, name)
		mustSucceed(t, err)
		within(t, "created after Commit", committed.Created, committing, time.Now())
		if !committed.Created.Equal(committed.Updated) {
			t.Errorf("created %s and updated %s differ after Commit", committed.Created, committed.Updated)
		}
		if got := sortedPairs(committed.Labels); !slices.Equal(got, []string{"own=yes"}) {
			t.Errorf("labels after Commit are %q", got)
		}
	}
	if fine < 40 {
		t.Errorf("only %d of 50 timestamps are finer than a microsecond", fine)
	}
}

// TestLabelUpdates covers the three shapes of an update mask.
func TestLabelUpdates(t *testing.T) {
	started := serverFor(t)
	proxied := newProxy(started.client, snapshotterName)
	ctx := context.Background()
	_, err := proxied.Prepare(ctx, "key", "", withLabels(map[string]string{"a.b": "1", "c": "2", "none": ""}))
	mustSucceed(t, err)
	steps := []struct {
		labels map[string]string
		paths  []string
		want   []string
	}{
		{labels: map[string]string{"a.b": "new", "ignored": "x"}, paths: []string{"labels.a.b"}, want: []string{"a.b=new", "c=2"}},
		{labels: nil, paths: []string{"labels.c"}, want: []string{"a.b=new"}},
		{labels: map[string]string{"a.b": "", "d": "4"}, paths: []string{"labels.a.b", "labels.d"}, want: []string{"d=4"}},
		{labels: map[string]string{"e": "5", "empty": ""}, paths: []string{"labels"}, want: []string{"e=5"}},
		{labels: map[string]string{"f": "6"}, want: []string{"f=6"}},
		{labels: nil, want: nil},
	}
	for _, step := range steps {
		info, err := proxied.Update(ctx, snapshotInfo{Name: "key", Labels: step.labels}, step.paths...)
		mustSucceed(t, err)
		if got := sortedPairs(info.Labels); !slices.Equal(got, step.want) {
			t.Errorf("Update(%v, %q) answered %q, want %q", step.labels, step.paths, got, step.want)
		}
		info, err = proxied.Stat(ctx, "key")
		mustSucceed(t, err)
		if got := sortedPairs(info.Labels); !slices.Equal(got, step.want) {
			t.Errorf("after Update(%v, %q) the labels are %q, want %q", step.labels, step.paths, got, step.want)
		}
	}
}

// TestFilters runs filter expressions through containerd's Walk.
func TestFilters(t *testing.T) {
	started := serverFor(t)
	populate(t, started.client)
	proxied := newProxy(started.client, snapshotterName)
	all := []string{orphanKey, baseLayer, activeKey, viewKey, otherLayer}
	cases := []struct {
		filters []string
		want    []string
	}{
		{nil, all},
		{[]string{""}, all},
		{[]string{"name==" + otherLayer}, []string{otherLayer}},
		{[]string{`name=="` + baseLayer + `"`}, []string{baseLayer}},
		{[]string{"kind==active"}, []string{orphanKey, activeKey}},
		{[]string{"kind==committed"}, []string{baseLayer, otherLayer}},
		{[]string{"kind==view"}, []string{viewKey}},
		{[]string{"kind!=committed"}, []string{orphanKey, activeKey, viewKey}},
		{[]string{`parent=="` + baseLayer + `"`}, []string{activeKey, viewKey}},
		{[]string{`parent==""`}, []string{orphanKey, baseLayer, otherLayer}},
		{[]string{"parent"}, all},
		{[]string{`labels."a.b/c"==1`}, []string{activeKey}},
		{[]string{`labels."a.b/c"`}, []string{activeKey}},
		{[]string{"labels.x!=old"}, []string{orphanKey, baseLayer, viewKey, otherLayer}},
		{[]string{"labels.absent"}, nil},
		{[]string{`name~=^k8s\.io/4[23]/`}, []string{activeKey, viewKey}},
		{[]string{`name~=/^k8s/`}, []string{activeKey, viewKey}},
		{[]string{`name~=|one$|`}, []string{activeKey}},
		{[]string{`name~=/(/`}, nil},
		{[]string{`kind==active,parent==""`}, []string{orphanKey}},
		{[]string{`kind==active, parent==""`}, []string{orphanKey}},
		{[]string{"kind==view", "name==" + otherLayer}, []string{viewKey, otherLayer}},
		{[]string{"nonsense==x"}, nil},
		{[]string{`labels."containerd.io/snapshot.ref"==x,parent=="` + baseLayer + `"`}, nil},
	}
	for _, test := range cases {
		t.Run(fmt.Sprintf("%q", test.filters), func(t *testing.T) {
			var got []string
			err := proxied.Walk(context.Background(), func(_ context.Context, info snapshotInfo) error {
				got = append(got, info.Name)
				return nil
			}, test.filters...)
			mustSucceed(t, err)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(test.want))
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	for _, bad := range []string{"name==", "==x", "name=x", "name==x ,kind==y", `name=="x`, "name!x", `name~="(`, "name==x,"} {
		t.Run("refuses "+bad, func(t *testing.T) {
			err := proxied.Walk(context.Background(), func(context.Context, snapshotInfo) error { return nil }, bad)
			if err == nil {
				t.Error("the filter was accepted")
			}
		})
	}
}

// TestList goes past one batch of the stream.
func TestList(t *testing.T) {
	started := serverFor(t)
	ctx := context.Background()
	// The reference fails to list before its first snapshot.
	if !reference() {
		t.Run("empty", func(t *testing.T) {
			if lines := everything(t, started.client); len(lines) != 0 {
				t.Errorf("a fresh root lists %q", lines)
			}
		})
	}
	const count = 250
	for number := range count {
		_, err := started.client.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: fmt.Sprintf("key-%03d", number)})
		mustSucceed(t, err)
	}
	t.Run("batches", func(t *testing.T) {
		stream, err := started.client.List(ctx, &snapshotsapi.ListSnapshotsRequest{})
		mustSucceed(t, err)
		total, largest := 0, 0
		for {
			response, err := stream.Recv()
			if err != nil {
				break
			}
			total += len(response.Info)
			largest = max(largest, len(response.Info))
		}
		if total != count || largest > 100 {
			t.Errorf("%d snapshots in batches of up to %d, want %d in at most 100", total, largest, count)
		}
	})
}
