package dataplane_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// pattern is n bytes that differ from their neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// replyWith answers with a copy of the request's payload in a frame of its own.
func replyWith(r *dataplane.Request) {
	if b := r.Reply(r.PayloadLen()); b != nil {
		r.CopyPayload(b)
	}
}

func turnAround(r *dataplane.Request) { r.Turn() }

// TestEcho compares both ways of answering with what gopacket builds, at each length that a frame
// holds around the interesting ones.
func TestEcho(t *testing.T) {
	for _, kind := range kinds {
		for name, h := range map[string]dataplane.Handler{"reply": replyWith, "turn": turnAround} {
			s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
			s.handleAll(t, h)
			for _, n := range []int{0, 1, 2, 3, 17, 18, 19, 63, 64, 65, 255, 1000, 1399, 1438} {
				got := s.exchange(t, request(t, kind, pattern(n)))
				same(t, fmt.Sprintf("%s %s of %d bytes", kind, name, n), got,
					reply(t, kind, pattern(n)))
			}
		}
	}
}

// A packet of several segments is turned around without a copy, whatever its length, and its
// checksum covers all of it.
func TestEchoJumbo(t *testing.T) {
	for _, kind := range kinds {
		s := newServed(t, dataplane.WorkerConfig{VerifyChecksums: true}, memlink.Config{})
		s.handleAll(t, turnAround)
		for _, n := range []int{
			segmentBytes - 63, segmentBytes - 62, segmentBytes - 61, segmentBytes - 43,
			segmentBytes - 42, segmentBytes - 41, segmentBytes - 14, segmentBytes - 13,
			2*segmentBytes + 1, 8972, dataplane.MaxSegments*segmentBytes - wire.UDP6Bytes,
		} {
			got := s.exchange(t, request(t, kind, pattern(n)))
			same(t, fmt.Sprintf("%s of %d bytes", kind, n), got, reply(t, kind, pattern(n)))
		}
	}
}

// The handler sees a long payload in segments, and may write into each before it turns them around.
func TestSegments(t *testing.T) {
	for _, kind := range kinds {
		s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
		const n = 5000
		s.handleAll(t, func(r *dataplane.Request) {
			var all []byte
			for i := range r.Segments() {
				all = append(all, r.Segment(i)...)
			}
			copied := make([]byte, n+10)
			if k := r.CopyPayload(copied); k != n || !bytes.Equal(copied[:k], all) {
				t.Errorf("%s: CopyPayload gives %d bytes", kind, k)
			}
			if r.PayloadLen() != n || !bytes.Equal(all, pattern(n)) || r.Segments() != 3 ||
				!bytes.Equal(r.Payload(), r.Segment(0)) {
				t.Errorf("%s: %d bytes in %d segments, want %d in 3", kind, len(all), r.Segments(), n)
			}
			if r.CopyPayload(copied[:100]) != 100 {
				t.Errorf("%s: CopyPayload into 100 bytes", kind)
			}
			r.Segment(0)[0] = 'a'
			r.Segment(1)[1] = 'b'
			last := r.Segment(2)
			last[len(last)-1] = 'c'
			r.Turn()
		})
		want := pattern(n)
		var head int
		switch kind {
		case "raw":
			head = wire.EthernetBytes
		case "udp4":
			head = wire.UDP4Bytes
		default:
			head = wire.UDP6Bytes
		}
		want[0], want[segmentBytes-head+1], want[n-1] = 'a', 'b', 'c'
		same(t, kind, s.exchange(t, request(t, kind, pattern(n))), reply(t, kind, want))
	}
}

// What lies behind the payload (Ethernet padding, or what a hostile sender put there) is neither
// seen nor sent back.
func TestBytesBehindThePayload(t *testing.T) {
	for _, kind := range kinds[1:] {
		for _, n := range []int{0, 1, segmentBytes - 42, segmentBytes - 62, 2000} {
			for _, extra := range []int{1, 18, 4000} {
				s := newServed(t, dataplane.WorkerConfig{VerifyChecksums: true}, memlink.Config{})
				s.handleAll(t, func(r *dataplane.Request) {
					seen := 0
					for i := range r.Segments() {
						seen += len(r.Segment(i))
					}
					if seen != n || r.PayloadLen() != n {
						t.Errorf("%s: %d of %d bytes seen", kind, seen, n)
					}
					r.Turn()
				})
				b := append(request(t, kind, pattern(n)), make([]byte, extra)...)
				same(t, fmt.Sprintf("%s %d+%d", kind, n, extra), s.exchange(t, b),
					reply(t, kind, pattern(n)))
			}
		}
	}
}

// What an application sees of a request.
func TestRequestView(t *testing.T) {
	for _, kind := range kinds {
		s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
		s.handleAll(t, func(r *dataplane.Request) {
			got := fmt.Sprintf("%v %v %v->%v %v->%v %q %d %v", r.Kind(), r.EtherType(), r.SourceMAC(),
				r.DestinationMAC(), r.Source(), r.Destination(), r.Payload(), r.Now(),
				r.Worker() == s.worker)
			want := map[string]string{
				"raw": "raw 0x88b5 02:00:00:00:00:02->02:00:00:00:00:01 " +
					"invalid AddrPort->invalid AddrPort \"hello\" 1 true",
				"udp4": "udp4 0x0800 02:00:00:00:00:02->02:00:00:00:00:01 " +
					"198.51.100.2:40000->192.0.2.1:7777 \"hello\" 1 true",
				"udp6": "udp6 0x86dd 02:00:00:00:00:02->02:00:00:00:00:01 " +
					"[2001:db8:1::2]:40000->[2001:db8::1]:7777 \"hello\" 1 true",
			}[kind]
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			if len(r.Payload()) != cap(r.Payload()) {
				t.Error("an append to the payload would write behind it")
			}
		})
		if got := s.exchange(t, request(t, kind, []byte("hello"))); len(got) != 0 {
			t.Errorf("a handler that does nothing sent %d packets", len(got))
		}
		if c := s.worker.Counters(); c.Silent != 1 || c.Packets != 1 {
			t.Errorf("%+v", c)
		}
	}
}

// Replies leave in the order of their requests, whichever way they are made.
func TestOrder(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	s.handleAll(t, func(r *dataplane.Request) {
		if r.Payload()[0]%3 == 0 {
			r.Turn()
		} else {
			replyWith(r)
		}
	})
	var packets, want [][]byte
	for i := range byte(100) {
		kind := kinds[i%3]
		packets = append(packets, request(t, kind, []byte{i}))
		want = append(want, reply(t, kind, []byte{i}))
	}
	same(t, "in order", s.exchange(t, packets...), want...)
}
