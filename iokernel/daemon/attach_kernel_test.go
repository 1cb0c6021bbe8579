package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// says fails unless the error says all of it.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// TestOpenRefusals has each mistake of an application end in one error that says what to do, and
// leave nothing behind.
func TestOpenRefusals(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) { withOther(o); o.Log = nil })
	rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
	before := resourcesNow(t)
	nowhere := filepath.Join(t.TempDir(), "iokernel.sock")
	for _, c := range []struct {
		o     attach.Options
		words []string
	}{
		{
			attach.Options{Name: "echo", Socket: nowhere},
			[]string{nowhere, "is the iokernel running"},
		},
		{attach.Options{Name: "stranger", Socket: d.Socket()}, []string{"stranger"}},
		{
			attach.Options{Name: "echo", Socket: d.Socket()},
			[]string{"attached already", fmt.Sprintf("pid %d", os.Getpid())},
		},
		{
			attach.Options{Name: otherName, Socket: d.Socket(), Direct: true},
			[]string{"allow_direct"},
		},
	} {
		_, err := attach.Open(c.o)
		says(t, err, append(c.words, "attach "+c.o.Name)...)
	}
	turn := func(r *dataplane.Request) { r.Turn() }
	says(t, rt.HandleUDP(9, turn), "UDP port 9", "not among the runtime's endpoints")
	says(t, rt.HandleRaw(otherType, turn), otherType.String(), "not among the runtime's endpoints")
	awaitResources(t, "refusals", before)
	for range 2 {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
	await(t, "detached", func() bool { return d.theAttachment() == nil })
}

// TestRunSaysWhyItEnded: nil when its own program ends it, the iokernel's reason otherwise.
func TestRunSaysWhyItEnded(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	for _, mode := range []string{modeMediated, modeDirect, modeSolo} {
		t.Run(mode, func(t *testing.T) {
			d := startDaemon(t, l, func(o *Options) {
				o.Private = mode == modeSolo
				if r := &o.Config.Runtimes[0]; mode == modeDirect {
					r.AllowDirect, r.Queue = true, 0
				}
			})
			o := attach.Options{Name: "echo", Socket: d.Socket(), Direct: mode == modeDirect}
			if mode == modeSolo {
				o.Solo = d
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := openRuntime(t, o).Run(ctx); err != nil {
				t.Errorf("ended by its program: %v", err)
			}
			await(t, "detached", func() bool { return d.theAttachment() == nil })
			rt := openRuntime(t, o)
			ran := make(chan error, 1)
			go func() { ran <- rt.Run(context.Background()) }()
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			err := <-ran
			says(t, err, "the iokernel is stopping")
			var evicted *control.Evicted
			if !errors.Is(err, attach.ErrGone) || !errors.As(err, &evicted) {
				t.Errorf("error %v is neither ErrGone nor Evicted", err)
			}
		})
	}
}

// TestWorkersShareTheWork has several workers, in direct mode on queues of their own. Every client
// is answered, and no worker is left out.
func TestWorkersShareTheWork(t *testing.T) {
	const workers, clients = 2, 32
	for _, mode := range []string{modeMediated, modeDirect} {
		t.Run(mode, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{Queues: workers})
			d := startDaemon(t, l, func(o *Options) {
				r := &o.Config.Runtimes[0]
				if r.Workers = workers; mode == modeDirect {
					r.AllowDirect, r.Queue = true, 0
				}
			})
			rt := openRuntime(t, attach.Options{
				Name: "echo", Socket: d.Socket(),
				Direct: mode == modeDirect,
			})
			var served [workers]atomic.Uint64
			number := map[*dataplane.Worker]int{}
			for i := range rt.Workers() {
				number[rt.Worker(i)] = i
			}
			if err := rt.HandleUDP(echoPort, func(r *dataplane.Request) {
				served[number[r.Worker()]].Add(1)
				r.Turn()
			}); err != nil {
				t.Fatal(err)
			}
			runRuntime(t, rt)
			for range clients {
				for _, a := range []netip.Addr{l.End(lab.B).IPv4, l.End(lab.B).IPv6} {
					exchange(t, l, a, 3)
				}
			}
			for i := range served {
				if n := served[i].Load(); n == 0 {
					t.Errorf("worker %d was left out", i)
				}
			}
		})
	}
}
