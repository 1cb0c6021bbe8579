package daemon

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel"
)

const peerRequests = 1000

// asker is a poller in one runtime that asks another one, one question at a time. Nothing but the
// answers wakes it.
type asker struct {
	w      *dataplane.Worker
	flow   *wire.UDPFlow
	asked  uint64
	due    bool
	failed error
	done   chan struct{}
	b      [8]byte
}

func (a *asker) Poll(core.Time) int {
	if !a.due || a.failed != nil || a.asked == peerRequests {
		return 0
	}
	a.due = false
	a.asked++
	binary.BigEndian.PutUint64(a.b[:], a.asked)
	if reason := a.w.SendUDP(a.flow, a.b[:]); reason != dataplane.OK {
		a.fail(fmt.Errorf("question %d: %v", a.asked, reason))
	}
	return 1
}

func (a *asker) Next(now core.Time) core.Time {
	if a.due {
		return now
	}
	return core.Never
}

// answer is the handler of what comes back.
func (a *asker) answer(r *dataplane.Request) {
	if got := binary.BigEndian.Uint64(r.Payload()); got != a.asked {
		a.fail(fmt.Errorf("answer %d to question %d", got, a.asked))
	}
	if a.asked == peerRequests {
		close(a.done)
		return
	}
	a.due = true
}

func (a *asker) fail(err error) {
	if a.failed == nil {
		a.failed = err
	}
}

// TestRuntimesTalkToEachOther has one runtime ask another of the same host, from ring to ring:
// nothing of it is seen on the interface. It is about UDP, because an EtherType has one runtime,
// and nobody else sends it.
func TestRuntimesTalkToEachOther(t *testing.T) {
	l := newLab(t, lab.PairOptions{Neighbours: true})
	second := netip.MustParseAddr("10.77.0.3")
	addAddress(t, l, second)
	b := l.End(lab.B)
	udp := func(from, to netip.Addr) wire.UDPFlow {
		return wire.UDPFlow{
			SrcMAC: b.MAC, DstMAC: b.MAC,
			Src: wire.UDPAddrFrom(netip.AddrPortFrom(from, otherPort)),
			Dst: wire.UDPAddrFrom(netip.AddrPortFrom(to, echoPort)),
		}
	}
	for name, f := range map[string]wire.UDPFlow{
		"between two addresses": udp(second, b.IPv4),
		"on one address":        udp(b.IPv4, b.IPv4),
		"on one IPv6 address":   udp(b.IPv6, b.IPv6),
	} {
		t.Run(name, func(t *testing.T) { testPeers(t, l, &f) })
	}
}

func testPeers(t *testing.T, l *lab.Lab, f *wire.UDPFlow) {
	d := startDaemon(t, l, withOther)
	echo := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
	if err := echo.HandleUDP(echoPort, func(r *dataplane.Request) { r.Turn() }); err != nil {
		t.Fatal(err)
	}
	other := openRuntime(t, attach.Options{Name: otherName, Socket: d.Socket()})
	a := &asker{w: other.Worker(0), flow: f, due: true, done: make(chan struct{})}
	if err := other.HandleUDP(otherPort, a.answer); err != nil {
		t.Fatal(err)
	}
	other.Add(0, a)
	interfaces := func() [2]vethCounters {
		return [2]vethCounters{veth(t, l, lab.A), veth(t, l, lab.B)}
	}
	before := interfaces()
	runRuntime(t, echo)
	runRuntime(t, other)
	select {
	case <-a.done:
	case <-time.After(quietTimeout):
		t.Fatalf("stuck at question %d; the asked worker: %v", a.asked,
			dropped(echo.Worker(0).Counters()))
	}
	if a.failed != nil {
		t.Error(a.failed)
	}
	if now := interfaces(); now != before {
		t.Errorf("on the interface: before %+v, now %+v", before, now)
	}
	for _, name := range []string{"echo", otherName} {
		var c iokernel.RuntimeCounters
		d.loop.Do(func() { c = d.attachmentOf(name).runtime.Counters() })
		const n = peerRequests
		if c.Switched != n || c.TxPackets != n || c.RxPackets != n {
			t.Errorf("%s: %+v, want %d packets each way, all switched", name, c, n)
		}
	}
}

// dropped names what a worker dropped.
func dropped(c dataplane.WorkerCounters) map[string]uint64 {
	m := map[string]uint64{}
	for r, n := range c.Dropped {
		if n > 0 {
			m[dataplane.Reason(r).String()] = n
		}
	}
	return m
}
