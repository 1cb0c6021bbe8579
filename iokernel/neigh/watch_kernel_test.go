package neigh

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for the kernel; what is awaited takes milliseconds.
const patience = 10 * time.Second

// bench is a watcher of side A's end, and a handle to change things there.
type bench struct {
	*testing.T
	lab     *lab.Lab
	watcher *Watcher
	handle  *netlink.Handle
	link    netlink.Link
	changes chan Change
	ended   chan error
	cancel  context.CancelFunc
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	l, err := lab.New(lab.PairOptions{})
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("needs CAP_SYS_ADMIN and CAP_NET_ADMIN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &bench{T: t, lab: l, changes: make(chan Change, 64), ended: make(chan error, 1)}
	err = l.In(lab.A, func() (err error) {
		if b.watcher, err = Open(l.End(lab.A).Name); err != nil {
			return err
		}
		b.handle, err = netlink.NewHandle()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.handle.Close)
	t.Cleanup(b.watcher.Close)
	if b.link, err = b.handle.LinkByIndex(l.End(lab.A).Index); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.ended <- b.watcher.Run(ctx, func(c Change) { b.changes <- c }) }()
	b.Cleanup(cancel)
}

// await returns the first change that satisfies ok.
func (b *bench) await(what string, ok func(Change) bool) Change {
	b.Helper()
	late := time.After(patience)
	for {
		select {
		case c := <-b.changes:
			if ok(c) {
				return c
			}
		case <-late:
			b.Fatalf("no change: %s; state %+v", what, b.watcher.State())
		}
	}
}

func (b *bench) do(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) address(text string) *netlink.Addr {
	b.Helper()
	a, err := netlink.ParseAddr(text)
	b.do(err)
	return a
}

func TestStateIsTheKernels(t *testing.T) {
	b := newBench(t)
	end, s := b.lab.End(lab.A), b.watcher.State()
	if s.Name != end.Name || s.Index != end.Index || s.MAC != end.MAC || s.MTU != 1500 || !s.Up || s.Gone {
		t.Errorf("state %+v of %+v", s, end)
	}
	want := []netip.Prefix{netip.PrefixFrom(end.IPv4, 24), netip.PrefixFrom(end.IPv6, 64)}
	if !slices.Equal(s.Addresses, want) {
		t.Errorf("addresses %v, want %v", s.Addresses, want)
	}
}

func TestOpenMissing(t *testing.T) {
	b := newBench(t)
	err := b.lab.In(lab.A, func() error {
		w, err := Open("nosuch0")
		if err == nil {
			w.Close()
		}
		return err
	})
	if err == nil || !errors.As(err, new(netlink.LinkNotFoundError)) {
		t.Errorf("opening an interface that is not there: %v", err)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	b := newBench(t)
	b.run()
	for _, text := range []string{"10.77.0.9/24", "fd77::9/64"} {
		a, want := b.address(text), netip.MustParsePrefix(text).Addr()
		b.do(b.handle.AddrAdd(b.link, a))
		b.await(text+" added", func(c Change) bool { return slices.Contains(c.Added, want) })
		b.do(b.handle.AddrDel(b.link, a))
		b.await(text+" removed", func(c Change) bool { return slices.Contains(c.Removed, want) })
	}
}

// TestChangesBeforeRun: what happens between Open and Run is not lost.
func TestChangesBeforeRun(t *testing.T) {
	b := newBench(t)
	b.do(b.handle.AddrAdd(b.link, b.address("10.77.0.9/24")))
	b.run()
	b.await("address added before Run", func(c Change) bool {
		return slices.Contains(c.Added, netip.MustParseAddr("10.77.0.9"))
	})
}

func TestLinkChanges(t *testing.T) {
	b := newBench(t)
	b.run()
	b.do(b.handle.LinkSetMTU(b.link, 1400))
	b.await("MTU", func(c Change) bool { return c.New.MTU == 1400 })
	mac := [6]byte{2, 0, 0, 0, 0, 0x42}
	b.do(b.handle.LinkSetHardwareAddr(b.link, net.HardwareAddr(mac[:])))
	b.await("MAC", func(c Change) bool { return c.New.MAC == mac })
	b.do(b.lab.Pair().SetUp(lab.B, false))
	b.await("carrier lost", func(c Change) bool { return !c.New.Up })
	b.do(b.lab.Pair().SetUp(lab.B, true))
	b.await("carrier back", func(c Change) bool { return c.New.Up })
}

func TestInterfaceDeleted(t *testing.T) {
	b := newBench(t)
	b.run()
	had := len(b.watcher.State().Addresses)
	b.do(b.lab.Pair().Remove())
	c := b.await("gone", func(c Change) bool { return c.New.Gone })
	// The kernel takes the addresses away first; whether that was seen on its own is a matter of
	// luck.
	if c.New.Up || c.New.Name != b.lab.End(lab.A).Name || len(c.Removed) > had {
		t.Errorf("change at the end: %+v", c)
	}
	select {
	case err := <-b.ended:
		if !errors.Is(err, ErrGone) {
			t.Errorf("Run ended with %v, want ErrGone", err)
		}
	case <-time.After(patience):
		t.Error("Run goes on without an interface")
	}
}

func TestRunEnds(t *testing.T) {
	for name, end := range map[string]func(*bench){
		"context": func(b *bench) { b.cancel() },
		"close":   func(b *bench) { b.watcher.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.run()
			end(b)
			select {
			case err := <-b.ended:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Error("Run does not end")
			}
		})
	}
}

// TestOverflow: the kernel drops events when nobody reads, ours among them. That it did is a hint
// too.
func TestOverflow(t *testing.T) {
	b := newBench(t)
	other, err := b.lab.AddPair(lab.PairOptions{Names: [2]string{"other0", "other1"}, Subnet: 78})
	b.do(err)
	b.drain()
	const least = 2304 // bytes: the kernel's minimum, room for two or three events
	b.do(b.watcher.events.SetReceiveBufferSize(least, false))
	link, err := b.handle.LinkByIndex(other.Ends[lab.A].Index)
	b.do(err)
	for i := range 50 {
		a := b.address("10.78.1.1/24")
		a.IP[len(a.IP)-1] += byte(i)
		b.do(b.handle.AddrAdd(link, a))
	}
	hints, closed := make(chan struct{}, 1), make(chan struct{})
	go b.watcher.listen(hints, closed)
	select {
	case <-hints:
	case <-time.After(patience):
		t.Error("events were lost, and nobody asks")
	}
	b.watcher.Close()
	<-closed
}

// drain reads the events that have come so far.
func (b *bench) drain() {
	b.Helper()
	timeout := unix.NsecToTimeval((50 * time.Millisecond).Nanoseconds())
	b.do(b.watcher.events.SetReceiveTimeout(&timeout))
	for {
		if _, _, err := b.watcher.events.Receive(); err != nil {
			break
		}
	}
	b.do(b.watcher.events.SetReceiveTimeout(&unix.Timeval{}))
}
