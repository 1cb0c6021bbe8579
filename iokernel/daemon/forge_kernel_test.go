package daemon

import (
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel"
)

// forgery is a frame that a runtime sends, how often, and what becomes of it.
type forgery struct {
	name  string
	count int
	want  iokernel.Drop
	frame func(b []byte) int
}

func forgeries(l *lab.Lab) []forgery {
	a, b := l.End(lab.A), l.End(lab.B)
	ours, peer, foreign := wire.MAC(b.MAC), wire.MAC(a.MAC), wire.MAC{2, 0, 0, 0, 0, 9}
	raw := func(dst, src wire.MAC, t wire.EtherType) func([]byte) int {
		return func(b []byte) int { wire.PutEthernet(b, dst, src, t); return minFrame }
	}
	udp := func(dst wire.MAC, src, to netip.AddrPort) func([]byte) int {
		f := wire.UDPFlow{
			SrcMAC: ours, DstMAC: dst, Src: wire.UDPAddrFrom(src),
			Dst: wire.UDPAddrFrom(to),
		}
		return func(b []byte) int { return wire.PutUDP(b, &f, 18).Len() }
	}
	at := netip.AddrPortFrom
	client := at(a.IPv4, 40000)
	return []forgery{
		{"honest raw", 11, iokernel.DropNone, raw(peer, ours, otherType)},
		{"honest udp", 12, iokernel.DropNone, udp(peer, at(b.IPv4, otherPort), client)},
		{"honest udp6", 13, iokernel.DropNone, udp(peer, at(b.IPv6, otherPort), at(a.IPv6, 40000))},
		{"another's MAC", 3, iokernel.DropForeignMAC, raw(peer, foreign, otherType)},
		{"another runtime's EtherType", 4, iokernel.DropForeignSource, raw(peer, ours, echoType)},
		{"nobody's EtherType", 5, iokernel.DropForeignSource, raw(peer, ours, foreignType)},
		{"ARP", 6, iokernel.DropForeignSource, raw(peer, ours, wire.EtherTypeARP)},
		{"a VLAN tag", 7, iokernel.DropSendMalformed, raw(peer, ours, wire.EtherTypeVLAN)},
		{
			"another runtime's port", 8, iokernel.DropForeignSource,
			udp(peer, at(b.IPv4, echoPort), client),
		},
		{
			"another host's address", 9, iokernel.DropForeignSource,
			udp(peer, at(a.IPv4, otherPort), client),
		},
		{
			"a broken IPv4 header", 10, iokernel.DropSendMalformed,
			raw(peer, ours, wire.EtherTypeIPv4),
		},
		{"too long", 14, iokernel.DropSendTooLong, func(b []byte) int {
			wire.PutEthernet(b, peer, ours, otherType)
			return dataplane.DefaultMTU + wire.EthernetBytes + 1
		}},
		{
			"a port of this host that nobody has", 15, iokernel.DropNoLocal,
			udp(ours, at(b.IPv4, otherPort), at(b.IPv4, 9)),
		},
	}
}

// TestForgedFramesAreDropped sends what a runtime may not: each frame is counted under its
// reason, none reaches the wire, and the runtime keeps its attachment.
func TestForgedFramesAreDropped(t *testing.T) {
	l := newLab(t, lab.PairOptions{Neighbours: true})
	d := startDaemon(t, l, withOther)
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket()})
	r, err := openRaw(d.Socket(), otherName, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.makeWorker(nil); err != nil {
		t.Fatal(err)
	}
	before := veth(t, l, lab.A)
	var want iokernel.RuntimeCounters
	sent := uint64(0)
	for _, f := range forgeries(l) {
		for range f.count {
			index, ok := r.cache.Alloc()
			if !ok {
				t.Fatal("no chunk")
			}
			clear(r.cache.Pool().Chunk(index))
			n := f.frame(r.cache.Pool().Chunk(index))
			if r.port.Send([]dataplane.Frame{{Index: index, Len: uint16(n)}}) != 1 {
				t.Fatal("the ring is full")
			}
		}
		r.port.Flush()
		if sent += uint64(f.count); f.want == iokernel.DropNone {
			want.TxPackets += uint64(f.count)
		} else {
			want.Drops[f.want] += uint64(f.count)
		}
	}
	var got iokernel.RuntimeCounters
	await(t, "all was looked at", func() bool {
		d.loop.Do(func() { got = d.attachmentOf(otherName).runtime.Counters() })
		n := got.TxPackets
		for _, c := range got.Drops {
			n += c
		}
		return n == sent
	})
	if got.TxPackets != want.TxPackets || got.Drops != want.Drops {
		t.Errorf("%d sent, dropped %v, want %d and %v", got.TxPackets, got.Drops, want.TxPackets,
			want.Drops)
	}
	if n := veth(t, l, lab.A).received - before.received; n != want.TxPackets {
		t.Errorf("%d frames on the wire, want %d", n, want.TxPackets)
	}
	select {
	case <-r.client.Done():
		t.Errorf("evicted: %v", r.client.Wait())
	default:
	}
	exchange(t, l, l.End(lab.B).IPv4, 10)
}
