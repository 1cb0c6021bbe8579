package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

// TestHeldQueueIsNamed has a direct runtime keep its socket after its control connection has
// ended: the queue is not free, and whoever wants it is told who has it.
func TestHeldQueueIsNamed(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) {
		o.Config.Runtimes[0].AllowDirect, o.Config.Runtimes[0].Queue = true, 0
	})
	r, err := openRaw(d.Socket(), "echo", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.client.Close(); err != nil {
		t.Error(err)
	}
	await(t, "detached", func() bool { return d.theAttachment() == nil })
	_, err = attach.Open(attach.Options{Name: "echo", Socket: d.Socket(), Direct: true})
	says(t, err, "queue 0", fmt.Sprint(os.Getpid()))
	if err := r.close(); err != nil {
		t.Error(err)
	}
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket(), Direct: true})
	exchange(t, l, l.End(lab.B).IPv4, 10)
}

// TestStartAndClose brings an iokernel up and down on the same interface, with a runtime attached.
func TestStartAndClose(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	dir := t.TempDir()
	options := optionsFor(t, l)
	options.Config.Control.Socket = filepath.Join(dir, "iokernel.sock")
	options.Log = nil
	small(&options.Config.Runtimes[0])
	cycle := func() {
		d, err := Start(options)
		if err != nil {
			t.Fatal(err)
		}
		r, err := openRaw(d.Socket(), "echo", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	before := resourcesNow(t)
	ignore := goleak.IgnoreCurrent()
	for i := range restarts {
		cycle()
		in(t, l, lab.B, func() error {
			link, err := netlink.LinkByName(l.End(lab.B).Name)
			if err == nil && link.Attrs().Xdp != nil && link.Attrs().Xdp.Attached {
				t.Errorf("after start %d, program %d is still attached", i, link.Attrs().Xdp.ProgId)
			}
			return err
		})
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Fatalf("after start %d there are files: %v %v", i, left, err)
		}
		awaitResources(t, fmt.Sprintf("start %d", i), before)
	}
	goleak.VerifyNone(t, ignore)
}
