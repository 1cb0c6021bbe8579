package daemon

import (
	"math/rand/v2"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/xdp"
)

// recovered wants a steady stream to pass without any loss, after everything.
func (s *soak) recovered() {
	s.t.Helper()
	before := s.quiet("recovery")
	const n = 4096
	if stalls := s.gen.steady(n, soakWindow/2, func(r *rand.Rand) kind {
		return kind(r.IntN(int(kindExtra)))
	}); stalls > 0 {
		s.t.Errorf("a steady stream stalled %d times", stalls)
	}
	after := s.quiet("recovery")
	if got := after.worker.Replies - before.worker.Replies; got != n {
		s.t.Errorf("%d replies to %d frames of a steady stream", got, n)
	}
}

// lostEverywhere wants each stage that was forced to lose frames to have done so: else the account
// proves little. Whether veth's own rings overflow is up to the scheduler.
func (s *soak) lostEverywhere(v *view) {
	s.t.Helper()
	lost := map[string]uint64{
		"too long for veth":    min(v.a.txLost, s.gen.sent[kindGiant]),
		"B's socket, no chunk": v.in.RxDropped,
		"A's socket, no room":  v.back.RxRingFull,
		"worker, no endpoint":  v.worker.Dropped[dataplane.ReasonNoEndpoint],
		"worker, declined":     v.worker.Dropped[dataplane.ReasonDeclined],
		"worker, silent":       v.worker.Silent,
	}
	for _, r := range []bpf.Reason{
		bpf.DroppedEmpty, bpf.PassedOtherHost, bpf.PassedGroup,
		bpf.PassedEtherType, bpf.BadIPv4, bpf.BadUDP,
	} {
		lost["program, "+r.String()] = v.program[r]
	}
	if !s.direct {
		for _, d := range []iokernel.Drop{
			iokernel.DropNoFill, iokernel.DropSendTooLong,
			iokernel.DropForeignSource,
		} {
			lost["iokernel, "+d.String()] = v.runtime.Drops[d]
		}
	}
	for name, n := range lost {
		if n == 0 {
			s.t.Errorf("nothing was lost at: %s", name)
		}
	}
	s.t.Logf("veth's rings overflowed %d times from A, %d times from B",
		v.a.txLost-s.gen.sent[kindGiant], v.b.txLost)
}

// capacity wants every chunk that was lent for receiving to be of use still: with the receiver
// stopped, so many frames find a place and not one more.
func (s *soak) capacity() {
	s.t.Helper()
	s.quiet("measuring the capacity")
	lent, release := s.stopReceiver()
	before := s.socketLost()
	n := 2 * lent
	s.gen.flood(n, true, tiny)
	for start := time.Now(); s.socketLost()-before < uint64(n-lent); {
		if time.Since(start) > quietTimeout {
			break
		}
	}
	if got := n - int(s.socketLost()-before); got != lent {
		s.t.Errorf("%d chunks are lent to the kernel, it received into %d", lent, got)
	}
	release()
	s.quiet("measuring the capacity")
}

// socketLost is how many frames found no place at B's socket, or before it.
func (s *soak) socketLost() uint64 {
	s.t.Helper()
	st, err := s.socket().Statistics()
	if err != nil {
		s.t.Fatal(err)
	}
	return st.RxDropped + st.RxRingFull + veth(s.t, s.lab, lab.A).txLost
}

// socket is B's.
func (s *soak) socket() *xdp.Socket {
	if s.direct {
		return s.attachment.sockets[0]
	}
	return s.daemon.queues[0].socket
}

// stopReceiver stops whoever takes frames from B's socket, and says how many chunks it has lent.
func (s *soak) stopReceiver() (lent int, release func()) {
	s.t.Helper()
	if s.direct {
		release = s.hold.hold(s.t)
		return s.port.Lent().Rx, release
	}
	held, c := make(chan struct{}), make(chan struct{})
	go s.daemon.loop.Do(func() {
		lent = s.daemon.queues[0].port.Lent().Rx
		close(held)
		<-c
	})
	<-held
	return lent, func() { close(c) }
}
