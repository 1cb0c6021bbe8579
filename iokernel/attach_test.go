package iokernel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
)

// tryAttach attaches a minimal runtime, with a memory of its own.
func (r *rig) tryAttach(name string, s shape, endpoints ...Endpoint) (*Runtime, error) {
	l := s.layout(r)
	c := RuntimeConfig{Name: name, Layout: l, Memory: make([]byte, l.Bytes), Endpoints: endpoints}
	for range l.Workers {
		c.Wakers = append(c.Wakers, &bell{})
	}
	return r.Attach(c)
}

// tiny is the least layout there is.
func tiny() shape { return shape{entries: dataplane.MaxBurst, chunks: 2 * dataplane.MaxBurst} }

// refused fails unless err mentions all of these.
func refused(t *testing.T, err error, mentions ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("attached")
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("error %q does not mention %q", err, m)
		}
	}
}

func TestEndpointConflicts(t *testing.T) {
	mapped := netip.AddrFrom16(hostAddr4.As16())
	for _, c := range []struct {
		name     string
		has, new []Endpoint
		conflict string
	}{
		{"same EtherType", []Endpoint{{EtherType: typeA}}, []Endpoint{{EtherType: typeA}}, "0x88b5"},
		{"other EtherType", []Endpoint{{EtherType: typeA}}, []Endpoint{{EtherType: typeB}}, ""},
		{"same port", []Endpoint{{Port: 7}}, []Endpoint{{Port: 7}}, "udp 7"},
		{"port that is an EtherType", []Endpoint{{Port: 0x88b5}}, []Endpoint{{EtherType: typeA}}, ""},
		{
			"port on all after port on one",
			[]Endpoint{{Port: 7, Addr: hostAddr4}},
			[]Endpoint{{Port: 7}},
			"udp 7",
		},
		{
			"port on one after port on all",
			[]Endpoint{{Port: 7}},
			[]Endpoint{{Port: 7, Addr: hostAddr6}},
			"udp [2001:db8::1]:7",
		},
		{
			"port on two addresses",
			[]Endpoint{{Port: 7, Addr: hostAddr4}},
			[]Endpoint{{Port: 7, Addr: hostAddrB}, {Port: 7, Addr: hostAddr6}},
			"",
		},
		{
			"same address",
			[]Endpoint{{Port: 7, Addr: hostAddr4}},
			[]Endpoint{{Port: 7, Addr: hostAddr4}},
			"udp 192.0.2.1:7",
		},
		{
			"same address, dressed as IPv6",
			[]Endpoint{{Port: 7, Addr: hostAddr4}},
			[]Endpoint{{Port: 7, Addr: mapped}},
			"taken by runtime first",
		},
		{"twice in itself", nil, []Endpoint{{Port: 7, Addr: mapped}, {Port: 7, Addr: hostAddr4}}, "twice"},
		{"neither", nil, []Endpoint{{EtherType: typeB}, {}}, "endpoint 1"},
		{"both", nil, []Endpoint{{EtherType: typeB, Port: 7}}, "endpoint 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 1)
			if _, err := r.tryAttach("first", tiny(), c.has...); err != nil {
				t.Fatal(err)
			}
			rt, err := r.tryAttach("second", tiny(), c.new...)
			if c.conflict != "" {
				refused(t, err, "second", c.conflict)
				return
			}
			if err != nil || rt.Name() != "second" {
				t.Fatalf("not attached: %v", err)
			}
		})
	}
}

func TestAttachLimits(t *testing.T) {
	t.Run("runtimes", func(t *testing.T) {
		r := newRig(t, 1)
		var last *Runtime
		for i := range MaxRuntimes {
			var err error
			if last, err = r.tryAttach(fmt.Sprint(i), tiny(), Endpoint{Port: uint16(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.tryAttach("one more", tiny(), Endpoint{Port: 999})
		refused(t, err, "one more", "64")
		r.Detach(last)
		if _, err := r.tryAttach("one more", tiny(), Endpoint{Port: 999}); err != nil {
			t.Errorf("not attached after another left: %v", err)
		}
	})
	t.Run("endpoints", func(t *testing.T) {
		r := newRig(t, 1)
		all := make([]Endpoint, MaxEndpoints+1)
		for i := range all {
			all[i].Port = uint16(i + 1)
		}
		_, err := r.tryAttach("a", tiny(), all...)
		refused(t, err, "1025", "1024")
		if _, err := r.tryAttach("a", tiny(), all[:1000]...); err != nil {
			t.Fatal(err)
		}
		_, err = r.tryAttach("b", tiny(), all[1000:]...)
		refused(t, err, "1025")
		g := r.attach("b", shape{}, all[1000:MaxEndpoints]...)
		packet := udpPacket(hostMAC, peerMAC, at(hostAddr4, MaxEndpoints), at(peerAddr4, 1), 9, 1)
		r.nics[0].arrive(t, packet)
		r.settle()
		same(t, "received", g.recv(0), packet)
	})
	t.Run("queues", func(t *testing.T) {
		_, err := New(Config{Queues: make([]Queue, MaxQueues+1)})
		refused(t, err, "65", "64")
	})
	t.Run("addresses", func(t *testing.T) {
		r := newRig(t, 1)
		refused(t, r.SetAddresses(make([]netip.Addr, MaxAddresses+1)), "65", "64")
		g := r.attach("g", shape{}, Endpoint{Port: 7000})
		g.send(0, udpPacket(peerMAC, hostMAC, at(peerAddr4, 9), at(hostAddr4, 7000), 9, 1))
		r.settle()
		if len(r.nics[0].sent) != 1 {
			t.Error("a refused list of addresses replaced the old one")
		}
	})
	t.Run("most workers", func(t *testing.T) {
		r := newRig(t, 1)
		g := r.attach("g", shape{workers: dataplane.MaxWorkers, chunks: 1 << 12, lend: 4},
			Endpoint{EtherType: typeA})
		out := rawPacket(peerMAC, hostMAC, typeA, 60, 1)
		for w := range dataplane.MaxWorkers {
			if !g.send(w, out) {
				t.Fatalf("worker %d cannot send", w)
			}
		}
		r.settle()
		if n := len(r.nics[0].sent); n != dataplane.MaxWorkers {
			t.Errorf("%d packets sent, want one of each worker", n)
		}
		for w := range dataplane.MaxWorkers {
			g.recv(w)
		}
		r.noEviction()
		r.audit()
	})
}

func TestAttachMistakes(t *testing.T) {
	r := newRig(t, 1)
	l := tiny().layout(t)
	ok := RuntimeConfig{Name: "g", Layout: l, Memory: make([]byte, l.Bytes), Wakers: []Waker{&bell{}}}
	for name, damage := range map[string]func(*RuntimeConfig){
		"no waker":       func(c *RuntimeConfig) { c.Wakers = nil },
		"a waker more":   func(c *RuntimeConfig) { c.Wakers = append(c.Wakers, &bell{}) },
		"memory short":   func(c *RuntimeConfig) { c.Memory = c.Memory[:l.Bytes-1] },
		"no memory":      func(c *RuntimeConfig) { c.Memory = nil },
		"layout missing": func(c *RuntimeConfig) { c.Layout, c.Wakers = dataplane.Layout{}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := ok
			damage(&c)
			_, err := r.Attach(c)
			refused(t, err, "attach g")
		})
	}
	if _, err := r.Attach(ok); err != nil {
		t.Fatal(err)
	}
}

// TestDetachInTraffic detaches runtimes with packets in every place, attaches them again on fresh
// memory, and goes on.
func TestDetachInTraffic(t *testing.T) {
	r := newRig(t, 2)
	v := newVictim(r)
	for round := range 50 {
		g := r.attach("g", shape{workers: 2}, Endpoint{EtherType: typeA}, Endpoint{Port: 7000})
		for i := range 40 {
			r.nics[i%2].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60+i, i))
			g.send(i%2, rawPacket(peerMAC, hostMAC, typeA, 60+i, i))
			g.send(i%2, rawPacket(hostMAC, hostMAC, typeA, 60+i, i)) // to itself
		}
		r.nics[0].room = round % 3 * 20 // some of its packets stay in the Dataplane
		r.nics[1].room = round % 5 * 10
		r.Poll(0)
		sent := g.rt.Counters()
		r.Detach(g.rt)
		r.Detach(g.rt) // does nothing
		r.guests = r.guests[:1]
		after := append([]byte(nil), g.mem...)
		r.nics[0].room, r.nics[1].room = -1, -1
		r.settle()
		if string(after) != string(g.mem) {
			t.Fatal("a detached runtime's memory was written")
		}
		onWire := uint64(len(ofType(r.nics[0].sent, typeA)) + len(ofType(r.nics[1].sent, typeA)))
		if onWire != sent.TxPackets-sent.Switched {
			t.Fatalf("%d packets reached the wire, %d were counted", onWire, sent.TxPackets-sent.Switched)
		}
		r.nics[1].sent = nil
		v.exchange()
	}
	v.check()
	r.noEviction()
}

// TestDepths counts what lies in the rings.
func TestDepths(t *testing.T) {
	r := newRig(t, 1)
	g := r.attach("g", shape{workers: 2, lend: 20}, Endpoint{EtherType: typeA})
	for range 3 {
		g.send(1, rawPacket(peerMAC, hostMAC, typeA, 60, 1))
	}
	if got, want := fmt.Sprint(g.rt.Depths()), "[{20 0 0} {20 0 3}]"; got != want {
		t.Errorf("depths %s, want %s", got, want)
	}
	for range 5 {
		r.nics[0].arrive(t, rawPacket(hostMAC, peerMAC, typeA, 60, 1))
	}
	r.settle()
	sum := PortDepth{}
	for _, d := range g.rt.Depths() {
		sum.Fill, sum.Rx, sum.Tx = sum.Fill+d.Fill, sum.Rx+d.Rx, sum.Tx+d.Tx
	}
	if want := (PortDepth{Fill: 35, Rx: 5}); sum != want {
		t.Errorf("depths %+v in all, want %+v", sum, want)
	}
}
