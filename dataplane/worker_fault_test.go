package dataplane_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// exercise is a handler that uses all of a request, and answers by its first byte.
func exercise(r *dataplane.Request) {
	sum := 0
	for i := range r.Segments() {
		for _, b := range r.Segment(i) {
			sum += int(b)
		}
	}
	f := r.Flow()
	f = f.Turned()
	if r.Kind() != wire.KindRaw {
		r.Worker().SendUDP(&f, r.Payload()[:min(len(r.Payload()), 40)])
	}
	switch what := r.Payload(); {
	case len(what) == 0 || what[0]%5 == 0:
		r.Turn()
	case what[0]%5 == 1:
		replyWith(r)
	case what[0]%5 == 2:
		if b := r.Reply(min(r.PayloadLen(), r.MaxReply())); b != nil {
			b[0] = byte(sum)
			r.Trim(r.CopyPayload(b))
		}
	case what[0]%5 == 3:
		r.Decline()
	}
}

// TestFaultyWire sends requests over a wire with a swarm of faults each way. Nothing panics, frames
// and packets are accounted for on both sides after each step, and the worker's replies that were
// not damaged on the way back are what gopacket would have built.
func TestFaultyWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		there, err := fault.New(fault.Swarm(rng), rng)
		if err != nil {
			t.Fatal(err)
		}
		back, err := fault.New(fault.Config{
			Delay: fault.Delay{Fixed: 5000},
			Loss:  0.1, Duplicate: fault.Duplicate{Probability: 0.1, Copies: 2, Spread: 9000},
			Reorder: fault.Reorder{Probability: 0.2, Delay: 9000},
		}, rng)
		if err != nil {
			t.Fatal(err)
		}
		s := newServed(t, dataplane.WorkerConfig{MAC: serverMAC, VerifyChecksums: true},
			memlink.Config{AB: back, BA: there})
		s.handleAll(t, exercise)
		replies := uint64(0)
		for range 60 {
			for range rng.IntN(6) {
				payload := pattern(rng.IntN(3 * chunkBytes))
				if len(payload) > 0 {
					payload[0] = byte(rng.Uint32())
				}
				s.send(t, request(t, kinds[rng.IntN(3)], payload))
			}
			s.now += core.Time(rng.IntN(int(core.Millisecond)))
			s.wire.Poll(s.now)
			s.worker.Poll(s.now)
			s.audit(t)
			for _, p := range s.receive() {
				replies++
				checkWithOracle(t, p)
			}
		}
		s.settle(t)
		replies += uint64(len(s.receive()))
		s.balance(t, there, back, replies)
	})
}

// settle lets everything that is under way arrive.
func (s *served) settle(t failer) {
	t.Helper()
	for range 100_000 {
		next := min(s.wire.Next(s.now), s.worker.Next(s.now))
		if next == core.Never {
			s.audit(t)
			return
		}
		s.now = max(s.now, next)
		s.wire.Poll(s.now)
		s.worker.Poll(s.now)
	}
	t.Fatal("the wire does not settle")
}

// balance checks that each packet on the way to the worker and back was delivered or is in a
// counter.
func (s *served) balance(t failer, there, back *fault.Model, replies uint64) {
	t.Helper()
	worker := s.worker.Counters()
	in, m := s.wire.B().Counters(), there.Counts()
	lost := in.NoFrame + in.QueueFull + in.TooLong + in.Empty + in.Forgotten + in.Overflow
	if in.Sent != m.Offered || worker.Packets+lost != m.Delivered {
		t.Fatalf("there: %d sent, %d received, %d lost: %+v", in.Sent, worker.Packets, lost, m)
	}
	out, m := s.wire.A().Counters(), back.Counts()
	lost = out.NoFrame + out.QueueFull + out.TooLong + out.Empty + out.Forgotten + out.Overflow
	if out.Sent != worker.Replies+worker.Sends || replies+lost != m.Delivered {
		t.Fatalf("back: %d sent, %d received, %d lost: %+v", out.Sent, replies, lost, m)
	}
}

// checkWithOracle decodes a packet with gopacket and has it build the packet anew: lengths and
// checksums must be the same.
func checkWithOracle(t failer, b []byte) {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	all := []gopacket.SerializableLayer{p.Layers()[0].(*layers.Ethernet)}
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if udp == nil {
		if et := wire.Ethernet(b).EtherType(); et&^3 != wire.EtherTypeDunlin&^3 {
			t.Fatalf("sent a packet of EtherType %v without UDP: %x", et, b)
		}
		return
	}
	all = append(all, p.NetworkLayer().(gopacket.SerializableLayer), udp,
		gopacket.Payload(udp.Payload))
	if want := build(t, all...); !bytes.Equal(b, want[:min(len(b), len(want))]) {
		t.Fatalf("sent\n%x, gopacket builds\n%x", b, want)
	}
}

// TestEveryLengthAndBit sends each packet cut to every length, in frames of several sizes, and with
// every single bit of its headers flipped. Whatever it becomes is answered or counted.
func TestEveryLengthAndBit(t *testing.T) {
	l, w := newScripted(t, dataplane.WorkerConfig{})
	handlers := [...]dataplane.Handler{turnAround, replyWith, exercise}
	at := 0
	for port := range uint16(3) {
		err := w.HandleRaw(wire.EtherTypeDunlin+1+wire.EtherType(port),
			func(r *dataplane.Request) { handlers[at](r) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.HandleUDP(anyAddress, func(r *dataplane.Request) { handlers[at](r) }); err != nil {
		t.Fatal(err)
	}
	now := core.Time(0)
	serve := func(b []byte, segment int) {
		l.wait(t, b, segment)
		for w.Poll(now) > 0 {
			now++
		}
		l.drain()
		if free := l.cache.Count() + l.cache.Pool().Stored(); free != 1024 || w.Held() != 0 {
			t.Fatalf("%d frames free, %d held after %x", free, w.Held(), b)
		}
	}
	sent := uint64(0)
	for _, kind := range kinds {
		b := request(t, kind, pattern(80))
		if kind == "raw" {
			b[13]++
		}
		for at = range handlers {
			for n := 1; n <= len(b); n++ {
				for _, segment := range []int{1 + n/16, 14, 61, 62, 1000} {
					if n > segment*dataplane.MaxSegments {
						continue
					}
					serve(bytes.Clone(b[:n]), segment)
					sent++
				}
			}
			for bit := range 8 * 64 {
				flipped := bytes.Clone(b)
				flipped[bit/8] ^= 1 << (bit % 8)
				serve(flipped, 1000)
				sent++
			}
		}
	}
	c := w.Counters()
	sum := c.Replies + c.Silent
	for _, n := range c.Dropped {
		sum += n
	}
	if c.Packets != sent || sum != sent || c.Replies == 0 {
		t.Errorf("%d packets sent, %d received, %d accounted for: %+v", sent, c.Packets, sum, c)
	}
}
