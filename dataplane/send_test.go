package dataplane_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

func flow(kind string) *wire.UDPFlow {
	f := &wire.UDPFlow{
		SrcMAC: serverMAC, DstMAC: clientMAC,
		Src: wire.UDPAddrFrom(netip.AddrPortFrom(server4, servicePort)),
		Dst: wire.UDPAddrFrom(netip.AddrPortFrom(client4, clientPort)),
	}
	if kind == "udp6" {
		f.Src = wire.UDPAddrFrom(netip.AddrPortFrom(server6, servicePort))
		f.Dst = wire.UDPAddrFrom(netip.AddrPortFrom(client6, clientPort))
	}
	return f
}

// What a worker sends of its own accord is what gopacket builds; the caller keeps its bytes.
func TestSend(t *testing.T) {
	for _, kind := range kinds {
		for _, n := range []int{0, 1, 17, 500, 1452} {
			s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
			payload := pattern(n)
			var got dataplane.Reason
			if kind == "raw" {
				got = s.worker.SendRaw(clientMAC, wire.EtherTypeDunlin, payload)
			} else {
				got = s.worker.SendUDP(flow(kind), payload)
			}
			if got != dataplane.OK || s.worker.Held() != 1 || s.worker.Next(3) != 3 {
				t.Fatalf("%s: %v, holds %d", kind, got, s.worker.Held())
			}
			clear(payload)
			s.run()
			s.audit(t)
			same(t, kind, s.receive(), reply(t, kind, pattern(n)))
			if c := s.worker.Counters(); c.Sends != 1 || c.Refused != 0 {
				t.Errorf("%+v", c)
			}
		}
	}
}

// A handler may send to somebody else, beside its reply.
func TestSendFromHandler(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
	s.handleAll(t, func(r *dataplane.Request) {
		if got := r.Worker().SendUDP(flow("udp6"), []byte("aside")); got != dataplane.OK {
			t.Error(got)
		}
		r.Turn()
	})
	same(t, "both", s.exchange(t, request(t, "udp4", []byte("x"))),
		reply(t, "udp6", []byte("aside")), reply(t, "udp4", []byte("x")))
}

func TestSendRefused(t *testing.T) {
	change := func(f func(*wire.UDPFlow)) *wire.UDPFlow {
		g := flow("udp4")
		f(g)
		return g
	}
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	for _, c := range []struct {
		name string
		send func() dataplane.Reason
		want dataplane.Reason
	}{
		{"two IP versions", func() dataplane.Reason {
			return s.worker.SendUDP(change(func(f *wire.UDPFlow) { f.Dst = flow("udp6").Dst }), nil)
		}, dataplane.ReasonBadFlow},
		{"no source", func() dataplane.Reason {
			return s.worker.SendUDP(change(func(f *wire.UDPFlow) { f.Src = wire.UDPAddr{} }), nil)
		}, dataplane.ReasonBadFlow},
		{"no addresses", func() dataplane.Reason {
			return s.worker.SendUDP(&wire.UDPFlow{}, nil)
		}, dataplane.ReasonBadFlow},
		{"from a group", func() dataplane.Reason {
			return s.worker.SendUDP(change(func(f *wire.UDPFlow) { f.SrcMAC[0] = 1 }), nil)
		}, dataplane.ReasonBadFlow},
		{"too long", func() dataplane.Reason {
			return s.worker.SendUDP(flow("udp4"), make([]byte, 1473))
		}, dataplane.ReasonReplyTooLong},
		{"too long for IPv6", func() dataplane.Reason {
			return s.worker.SendUDP(flow("udp6"), make([]byte, 1453))
		}, dataplane.ReasonReplyTooLong},
		{"raw without an address", func() dataplane.Reason {
			return s.worker.SendRaw(clientMAC, wire.EtherTypeDunlin, nil)
		}, dataplane.ReasonBadFlow},
	} {
		if got := c.send(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		s.audit(t)
	}
	if c := s.worker.Counters(); c.Refused != 7 || c.Sends != 0 {
		t.Errorf("%+v", c)
	}
	m := newServed(t, dataplane.WorkerConfig{MAC: serverMAC}, memlink.Config{})
	if got := m.worker.SendRaw(clientMAC, wire.EtherTypeDunlin, make([]byte, 1501)); got !=
		dataplane.ReasonReplyTooLong {
		t.Errorf("raw, too long: %v", got)
	}
	if got := m.worker.SendRaw(clientMAC, 60, nil); got != dataplane.ReasonBadFlow {
		t.Errorf("raw, a length: %v", got)
	}
}

// Sends are bounded, and leave room for the replies to a full burst.
func TestSendsAreBounded(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{MAC: serverMAC})
	sent := 0
	for w.SendRaw(clientMAC, 0x88B5, []byte("x")) == dataplane.OK {
		sent++
	}
	if sent != dataplane.MaxBurst || w.Held() != sent {
		t.Fatalf("%d sends were queued, %d held", sent, w.Held())
	}
	w.Poll(1)
	if len(l.out) != sent || w.Held() != 0 {
		t.Errorf("%d of %d left", len(l.out), sent)
	}
	l.drain()

	flood := func(r *dataplane.Request) { // as many sends as it is let, for each request
		for w.SendRaw(clientMAC, 0x88B5, []byte("y")) == dataplane.OK {
		}
		r.Turn()
	}
	if err := w.HandleRaw(0x88B6, flood); err != nil {
		t.Fatal(err)
	}
	packet := raw(t, clientMAC, serverMAC, []byte("x"))
	packet[13] = 0xB6
	for range 400 {
		l.wait(t, packet, 60)
	}
	for turn := core.Time(0); w.Poll(turn) > 0; turn++ {
		if len(l.out) > 2*dataplane.MaxBurst {
			t.Fatalf("turn %d: %d packets", turn, len(l.out))
		}
		l.drain()
	}
	if c := w.Counters(); c.Replies != 400 || w.Held() != 0 {
		t.Errorf("%+v", c)
	}
	if free := l.cache.Count() + l.cache.Pool().Stored(); free != 1024 {
		t.Errorf("%d frames free", free)
	}
}

// A pool without frames refuses sends until there are some.
func TestSendWithoutFrames(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{MAC: serverMAC})
	var hoard []uint32
	for {
		index, ok := l.cache.Alloc()
		if !ok {
			break
		}
		hoard = append(hoard, index)
	}
	if got := w.SendUDP(flow("udp4"), nil); got != dataplane.ReasonNoFrame {
		t.Errorf("%v", got)
	}
	l.cache.Free(hoard[0])
	if got := w.SendUDP(flow("udp4"), nil); got != dataplane.OK {
		t.Errorf("%v", got)
	}
	w.Poll(0)
	if len(l.out) != 1 || !bytes.Equal(l.cache.Pool().Bytes(l.out[0]), reply(t, "udp4", nil)) {
		t.Errorf("sent %v", l.out)
	}
}
