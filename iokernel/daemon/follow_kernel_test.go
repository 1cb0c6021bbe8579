package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/neigh"
)

// refusedWithin is how long an unanswered question is waited for. (guess: a thousand round trips)
const refusedWithin = 100 * time.Millisecond

// onB changes end B by netlink.
func onB(t *testing.T, l *lab.Lab, change func(link netlink.Link) error) {
	t.Helper()
	in(t, l, lab.B, func() error {
		link, err := netlink.LinkByIndex(l.End(lab.B).Index)
		if err != nil {
			return err
		}
		return change(link)
	})
}

func prefix(a netip.Addr) *netlink.Addr {
	const bits4, bits6 = 24, 64
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}}
}

func addAddress(t *testing.T, l *lab.Lab, a netip.Addr) {
	t.Helper()
	onB(t, l, func(link netlink.Link) error { return netlink.AddrAdd(link, prefix(a)) })
}

// asks sends one question from A and reports how it went: nil, or why there was no answer in time.
func asks(t *testing.T, l *lab.Lab, to netip.Addr, patience time.Duration) error {
	t.Helper()
	conn := dial(t, l, netip.AddrPortFrom(to, echoPort))
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("anybody")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 64))
	return err
}

func answers(t *testing.T, l *lab.Lab, to netip.Addr) func() bool {
	return func() bool { return asks(t, l, to, refusedWithin) == nil }
}

// steered are the frames that the program took.
func steered(t *testing.T, d *Daemon) uint64 {
	t.Helper()
	counts, err := d.steer.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return counts[bpf.TakenUDP4] + counts[bpf.TakenUDP6]
}

// newEcho starts an iokernel with a mediated echo.
func newEcho(t *testing.T, o lab.PairOptions) (*lab.Lab, *Daemon) {
	t.Helper()
	l := newLab(t, o)
	d := startDaemon(t, l, nil)
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket()})
	return l, d
}

func TestAddressesComeAndGo(t *testing.T) {
	l, d := newEcho(t, lab.PairOptions{})
	for _, text := range []string{"10.77.0.9", "fd77::9"} {
		a := netip.MustParseAddr(text)
		addAddress(t, l, a)
		await(t, text+" answers", answers(t, l, a))
		exchange(t, l, a, 100)
		onB(t, l, func(link netlink.Link) error { return netlink.AddrDel(link, prefix(a)) })
		await(t, text+" is silent", func() bool { return !answers(t, l, a)() })
		before := steered(t, d)
		if err := asks(t, l, a, refusedWithin); err == nil {
			t.Errorf("%v answers after it was removed", a)
		}
		if n := steered(t, d) - before; n > 0 {
			t.Errorf("the program took %d frames to %v after it was removed", n, a)
		}
		exchange(t, l, l.End(lab.B).IPv4, 10)
		exchange(t, l, l.End(lab.B).IPv6, 10)
	}
}

func TestMACChanges(t *testing.T) {
	l, d := newEcho(t, lab.PairOptions{})
	exchange(t, l, l.End(lab.B).IPv4, 10)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0x77}
	onB(t, l, func(link netlink.Link) error { return netlink.LinkSetHardwareAddr(link, mac) })
	await(t, "the new MAC is followed", func() bool { return d.interfaceNow().MAC == [6]byte(mac) })
	// A still knows the old one; it would find out when it asks again.
	in(t, l, lab.A, func() error {
		link, err := netlink.LinkByIndex(l.End(lab.A).Index)
		if err != nil {
			return err
		}
		for _, a := range []netip.Addr{l.End(lab.B).IPv4, l.End(lab.B).IPv6} {
			err = errors.Join(err, netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index,
				State:     netlink.NUD_REACHABLE, IP: a.AsSlice(), HardwareAddr: mac,
			}))
		}
		return err
	})
	await(t, "answers at the new MAC", answers(t, l, l.End(lab.B).IPv4))
	exchange(t, l, l.End(lab.B).IPv4, 100)
	exchange(t, l, l.End(lab.B).IPv6, 100)
}

// TestMTUChanges raises the MTU under a program for several buffers: longer datagrams come back
// whole.
func TestMTUChanges(t *testing.T) {
	l, d := newEcho(t, lab.PairOptions{})
	const mtu = 6000
	for _, side := range []lab.Side{lab.A, lab.B} {
		in(t, l, side, func() error {
			link, err := netlink.LinkByIndex(l.End(side).Index)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, mtu)
		})
	}
	await(t, "the new MTU is followed", func() bool { return d.interfaceNow().MTU == mtu })
	conn := dial(t, l, netip.AddrPortFrom(l.End(lab.B).IPv4, echoPort))
	for _, size := range []int{1, 1472, 1473, 4000, mtu - 28} {
		want := []byte(strings.Repeat("x", size))
		got := make([]byte, mtu)
		if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(want); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(got); err != nil || n != size {
			t.Errorf("%d bytes: %d came back, %v", size, n, err)
		}
	}
}

func TestLinkGoesDownAndUp(t *testing.T) {
	for _, mode := range []string{modeMediated, modeDirect} {
		for _, side := range []lab.Side{lab.A, lab.B} {
			t.Run(fmt.Sprintf("%s, end %s", mode, side), func(t *testing.T) {
				testDownAndUp(t, mode == modeDirect, side)
			})
		}
	}
}

func testDownAndUp(t *testing.T, direct bool, side lab.Side) {
	l := newLab(t, lab.PairOptions{NoIPv6: true})
	d := startDaemon(t, l, func(o *Options) {
		if r := &o.Config.Runtimes[0]; direct {
			r.AllowDirect, r.Queue = true, 0
		}
	})
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket(), Direct: direct})
	c := startTraffic(t, l, echoPort)
	await(t, "traffic flows", func() bool { return c.replies.Load() > livelyReplies })
	for range 2 {
		if err := l.Pair().SetUp(side, false); err != nil {
			t.Fatal(err)
		}
		await(t, "down is noticed", func() bool { return !d.neigh.State().Up })
		if err := l.Pair().SetUp(side, true); err != nil {
			t.Fatal(err)
		}
		await(t, "up is noticed", func() bool { return d.neigh.State().Up })
		await(t, "answers again", answers(t, l, l.End(lab.B).IPv4))
		exchange(t, l, l.End(lab.B).IPv4, 10)
	}
	if direct {
		return
	}
	if err := d.conserved(); err != nil {
		t.Error(err)
	}
}

// TestInterfaceIsDeleted ends the daemon with a reason, and with it the runtime.
func TestInterfaceIsDeleted(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, nil)
	rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
	ran := make(chan error, 1)
	go func() { ran <- rt.Run(context.Background()) }()
	if err := l.Pair().Remove(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), quietTimeout)
	defer cancel()
	err := d.Wait(ctx)
	if !errors.Is(err, neigh.ErrGone) || !strings.Contains(err.Error(), l.End(lab.B).Name) {
		t.Errorf("Wait: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ran; !errors.Is(err, attach.ErrGone) {
		t.Errorf("the runtime ended with %v", err)
	}
}
