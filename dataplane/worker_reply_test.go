package dataplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// MaxReply is what fits into one frame, of the chunk or of the MTU, whichever is less.
func TestMaxReply(t *testing.T) {
	for _, c := range []struct {
		mtu  int
		want [3]int // raw, udp4, udp6
	}{
		{0, [3]int{1500, 1472, 1452}},
		{1500, [3]int{1500, 1472, 1452}},
		{576, [3]int{576, 548, 528}},
		{9000, [3]int{chunkBytes - 14, chunkBytes - 42, chunkBytes - 62}},
	} {
		for i, kind := range kinds {
			s := newServed(t, dataplane.WorkerConfig{MTU: c.mtu}, memlink.Config{})
			s.handleAll(t, func(r *dataplane.Request) {
				if r.MaxReply() != c.want[i] {
					t.Errorf("MTU %d, %s: %d, want %d", c.mtu, kind, r.MaxReply(), c.want[i])
				}
				if r.Reply(r.MaxReply()+1) != nil || r.Reply(-1) != nil {
					t.Errorf("MTU %d, %s: a reply beyond MaxReply", c.mtu, kind)
				}
				b := r.Reply(r.MaxReply())
				if len(b) != r.MaxReply() || cap(b) != len(b) {
					t.Fatalf("MTU %d, %s: %d bytes, room for %d", c.mtu, kind, len(b), cap(b))
				}
				copy(b, pattern(len(b)))
			})
			same(t, kind, s.exchange(t, request(t, kind, nil)), reply(t, kind, pattern(c.want[i])))
		}
	}
}

// A reply that could not be is counted with its reason, unless the handler finds another answer.
func TestReplyThatCannotBe(t *testing.T) {
	tooLong := func(r *dataplane.Request) { r.Reply(r.MaxReply() + 1) }
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	s.handleAll(t, tooLong)
	if got := s.exchange(t, request(t, "udp4", nil)); len(got) != 0 {
		t.Errorf("%d packets", len(got))
	}
	if r := s.dropped(t); r != dataplane.ReasonReplyTooLong {
		t.Errorf("dropped as %v", r)
	}

	s = newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	s.handleAll(t, func(r *dataplane.Request) { tooLong(r); r.Turn() })
	same(t, "second thoughts", s.exchange(t, request(t, "udp4", nil)), reply(t, "udp4", nil))

	s = newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	s.handleAll(t, func(r *dataplane.Request) {
		var hoard []uint32
		for {
			index, ok := s.near.Alloc()
			if !ok {
				break
			}
			hoard = append(hoard, index)
		}
		if r.Reply(1) != nil {
			t.Error("a reply without a frame")
		}
		for _, index := range hoard {
			s.near.Free(index)
		}
	})
	s.exchange(t, request(t, "udp6", nil))
	if r := s.dropped(t); r != dataplane.ReasonNoFrame {
		t.Errorf("dropped as %v", r)
	}
}

// A datagram from port 0 wants no reply (RFC 768) and gets none.
func TestNoReplyToPortZero(t *testing.T) {
	for _, kind := range kinds[1:] {
		for name, h := range map[string]dataplane.Handler{"reply": replyWith, "turn": turnAround} {
			s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
			s.handleAll(t, h)
			b := request(t, kind, []byte("x"))
			l4 := len(b) - 1 - wire.UDPBytes
			b[l4], b[l4+1] = 0, 0
			if got := s.exchange(t, b); len(got) != 0 {
				t.Errorf("%s %s: %d packets", kind, name, len(got))
			}
			if r := s.dropped(t); r != dataplane.ReasonNoReturn {
				t.Errorf("%s %s: dropped as %v", kind, name, r)
			}
		}
	}
}

func TestTrim(t *testing.T) {
	for _, kind := range kinds {
		for _, n := range []int{0, 1, 37, 1000} {
			s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
			s.handleAll(t, func(r *dataplane.Request) {
				copy(r.Reply(1000), pattern(1000))
				r.Trim(1000)
				r.Trim(n)
			})
			same(t, fmt.Sprint(kind, n), s.exchange(t, request(t, kind, nil)),
				reply(t, kind, pattern(n)))
		}
	}
}

// The bytes of a reply are zero, not what another client's packet left in the frame.
func TestReplyIsClear(t *testing.T) {
	s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
	for i := range s.near.Pool().Chunks() {
		chunk := s.near.Pool().Chunk(uint32(i))
		for j := range chunk {
			chunk[j] = 0xEE
		}
	}
	s.handleAll(t, func(r *dataplane.Request) { r.Reply(100) })
	for _, kind := range kinds {
		same(t, kind, s.exchange(t, request(t, kind, nil)), reply(t, kind, make([]byte, 100)))
	}
}

func TestDecline(t *testing.T) {
	for name, h := range map[string]dataplane.Handler{
		"at once":     func(r *dataplane.Request) { r.Decline() },
		"after Reply": func(r *dataplane.Request) { r.Reply(10); r.Decline() },
		"after Turn":  func(r *dataplane.Request) { r.Turn(); r.Decline() },
		"twice":       func(r *dataplane.Request) { r.Reply(10); r.Decline(); r.Decline() },
	} {
		s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
		s.handleAll(t, h)
		if got := s.exchange(t, request(t, "udp4", nil)); len(got) != 0 {
			t.Errorf("%s: %d packets", name, len(got))
		}
		if r := s.dropped(t); r != dataplane.ReasonDeclined {
			t.Errorf("%s: dropped as %v", name, r)
		}
	}
}

// Two answers to one request are a mistake in the handler, and said so.
func TestSecondAnswerPanics(t *testing.T) {
	for _, c := range []struct {
		h    dataplane.Handler
		want string
	}{
		{func(r *dataplane.Request) { r.Reply(1); r.Reply(1) }, "replied to already"},
		{func(r *dataplane.Request) { r.Reply(1); r.Turn() }, "replied to already"},
		{func(r *dataplane.Request) { r.Turn(); r.Reply(1) }, "turned around already"},
		{func(r *dataplane.Request) { r.Decline(); r.Turn() }, "declined already"},
		{func(r *dataplane.Request) { r.Turn(); r.Trim(0) }, "Trim without a Reply"},
		{func(r *dataplane.Request) { r.Reply(10); r.Trim(11) }, "to 11 bytes of a reply of 10"},
		{func(r *dataplane.Request) { r.Reply(10); r.Trim(-1) }, "to -1 bytes of a reply of 10"},
	} {
		s := newServed(t, dataplane.WorkerConfig{}, memlink.Config{})
		s.handleAll(t, c.h)
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("panicked with %q, want %q in it", got, c.want)
				}
			}()
			s.exchange(t, request(t, "udp4", nil))
		}()
	}
}
