package transport

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/planted"
)

// received is which frames of the peer's a lane has taken in: the newest maxFlight of them, one bit
// each, and when they must be acknowledged.
type received struct {
	any     bool
	due     bool // acknowledge at once
	largest uint64
	at      core.Time // when largest arrived
	lowest  uint64    // of those not yet acknowledged
	waiting int       // frames not yet acknowledged that want to be
	by      core.Time // when they must be; Never if none waits
	bits    [2 * ackWords]uint64
}

// note marks a frame that was taken in completely.
func (r *received) note(now core.Time, counter uint64) {
	const n = uint64(len(r.bits))
	switch {
	case !r.any:
		r.any, r.largest, r.at, r.lowest = true, counter, now, counter
	case counter > r.largest:
		word := r.largest / 64
		for range min(counter/64-word, n) {
			word++
			if planted.On(planted.RingWrap) && word%n == 0 {
				continue
			}
			r.bits[word%n] = 0
		}
		r.largest, r.at = counter, now
	case r.largest-counter >= maxFlight:
		return // no acknowledgement reaches back so far
	}
	if r.waiting == 0 || counter < r.lowest {
		r.lowest = counter
	}
	r.bits[counter/64%n] |= 1 << (counter % 64)
}

// want says that a frame wants to be acknowledged, and by when at the latest.
func (r *received) want(now, hold core.Time) {
	r.waiting++
	r.by = min(r.by, now+hold)
	if r.waiting >= ackEvery {
		r.due = true
	}
}

// ready reports whether an acknowledgement must go now.
func (r *received) ready(now core.Time) bool { return r.due || now >= r.by }

// fill makes the acknowledgement of all this: back to the lowest frame that none has mentioned, or
// 64 frames, so that the loss of some acknowledgements costs nothing.
func (r *received) fill(now core.Time, a *ack) {
	a.largest = r.largest
	if planted.On(planted.AckShifted) && r.lowest < r.largest {
		r.bits[r.largest/64%uint64(len(r.bits))] |= 1 << (r.largest % 64) >> 1
	}
	a.delay = uint16(min(now-r.at, maxAckDelay) / ackDelayUnit)
	back := r.largest - r.lowest
	if r.waiting == 0 {
		back = 0
	}
	a.words = min(int(back/64)+1, ackWords)
	for i := range a.words {
		a.bits[i] = r.word(r.largest - uint64(64*i))
	}
}

// word has bit i for frame top-i; those below 0 do not exist.
func (r *received) word(top uint64) uint64 {
	const n = uint64(len(r.bits))
	// Reversed: bit 63 of the result of the shift is frame top.
	high := r.bits[top/64%n] << (63 - top%64)
	if top >= 64 && top%64 != 63 {
		high |= r.bits[(top/64-1)%n] >> (top%64 + 1)
	}
	return bits.Reverse64(high)
}

// sent says that the acknowledgement went out.
func (r *received) sent() { r.due, r.waiting, r.by = false, 0, core.Never }
