package transport

import "github.com/dunlin-io/dunlin/core"

// refKind says what a frame carried that must arrive.
type refKind uint8

const (
	refSegment refKind = iota
	refAbandon
	refRefuse
	refDrain
	refDone
	refPing
)

// ref is one thing that a frame carried: bytes [from, from+n) of the transfer in a slot.
type ref struct {
	kind    refKind
	bulk    bool
	again   bool // to be said again though it may be on its way
	slot    uint16
	from, n uint32
	gen     uint64 // of the slot: the slot may have another transfer by now
}

// maxRefs is the most segments of a frame: as many small calls as are worth one. (guess)
const maxRefs = 8

// sentState is what is known of a frame that was sent.
type sentState uint8

const (
	sentSettled sentState = iota // acknowledged, or carried nothing that must arrive
	sentFlying
	sentLost
)

// sent is a frame that was sent.
type sent struct {
	counter uint64
	at      core.Time
	silent  core.Time // mark of the lane's silence
	bytes   uint16
	state   sentState
	bulk    bool
	lazy    bool // nothing but replies: the peer may take its time to acknowledge
	probe   bool // padded to find the MTU: its loss says nothing else
	count   uint8
	refs    [maxRefs]ref
}

// flight is the frames of a lane that were sent, by counter.
type flight struct {
	ring   []sent // a power of two, at most maxFlight
	next   uint64 // counter of the next frame
	oldest uint64 // no frame below flies
	flying int
	bytes  int64 // of those that fly
	losts  int   // frames in sentLost that are still in the ring
}

func (f *flight) at(counter uint64) *sent { return &f.ring[counter&uint64(len(f.ring)-1)] }

// known reports whether the ring still has that frame.
func (f *flight) known(counter uint64) bool {
	return counter < f.next && f.next-counter <= uint64(len(f.ring))
}

// full reports whether the frame that would be overwritten next still flies, and the ring cannot
// grow any more.
func (f *flight) full() bool {
	return f.flying > 0 && f.next-f.oldest >= maxFlight
}

// spread reports whether so many frames went out since the oldest that flies that no more transfers
// may: an acknowledgement would soon not reach back to it. The rest is for acknowledgements of
// ours.
func (f *flight) spread() bool { return f.flying > 0 && f.next-f.oldest >= maxFlight*3/4 }

// record makes the place for the next frame, which has no refs yet: those of the frame before it
// are left where they are, as clearing them would touch four cache lines.
func (f *flight) record(now core.Time) *sent {
	if f.next-f.oldest >= uint64(len(f.ring)) && len(f.ring) < maxFlight {
		f.grow()
	}
	s := f.at(f.next)
	if s.state == sentLost {
		f.losts--
	}
	s.counter, s.at, s.state, s.count, s.bytes = f.next, now, sentSettled, 0, 0
	s.bulk, s.lazy, s.probe = false, false, false
	f.next++
	return s
}

// fly says that s must arrive.
func (f *flight) fly(s *sent, bytes int) {
	s.state, s.bytes = sentFlying, uint16(bytes)
	if f.flying == 0 {
		f.oldest = s.counter
	}
	f.flying++
	f.bytes += int64(bytes)
}

// land says that s flies no more.
func (f *flight) land(s *sent, to sentState) {
	s.state = to
	f.flying--
	f.bytes -= int64(s.bytes)
	if to == sentLost {
		f.losts++
	}
	if f.flying == 0 {
		f.oldest = f.next
		return
	}
	for f.at(f.oldest).state != sentFlying {
		f.oldest++
	}
}

// oldestBut is the oldest frame that flies after n others; the oldest if there are not so many.
func (f *flight) oldestBut(n int) *sent {
	for c := f.oldest; c < f.next && n < f.flying; c++ {
		if s := f.at(c); s.state == sentFlying {
			if n == 0 {
				return s
			}
			n--
		}
	}
	return f.at(f.oldest)
}
