package fault

import (
	"math"

	"github.com/dunlin-io/dunlin/core"
)

// MaxDeliveries bounds a Verdict: the packet, its extra copies, one replay.
const MaxDeliveries = 1 + MaxExtraCopies + 1

const (
	// NoBit is the Bit of a delivery that is not corrupted.
	NoBit = -1
	// KeepAll is the Keep of a delivery that is not truncated.
	KeepAll = math.MaxInt
)

// Delivery is one packet to deliver.
type Delivery struct {
	At   core.Time // when; at least the time of Judge
	Back int       // which packet: 0 the one judged, n the one offered n calls of Judge before it
	Keep int       // bytes to keep of it, or KeepAll
	Bit  int       // bit to flip in what is kept, counted from bit 0 of byte 0, or NoBit
}

// Verdict is what happens because one packet was offered. It has no pointer and may be copied.
type Verdict struct {
	Faults     Kinds // what struck this packet; for a lost one nothing but the cause
	count      int
	deliveries [MaxDeliveries]Delivery
}

// Deliveries is what to deliver, the packet itself first unless it is lost. Times are in no order.
// The slice lives as long as the Verdict.
func (v *Verdict) Deliveries() []Delivery { return v.deliveries[:v.count] }

// Lost reports whether the packet itself is never delivered.
func (v *Verdict) Lost() bool {
	const losses = 1<<KindCut | 1<<KindBurst | 1<<KindLoss
	return v.Faults&losses != 0
}

// A Kinds has a bit for each kind.
var _ [16 - KindCount]struct{}

func (v *Verdict) add(d Delivery) {
	v.deliveries[v.count] = d
	v.count++
}

// Apply does to a packet's bytes what d says: it flips the bit in place and returns what is kept.
// The bytes are the caller's own copy. Packets in several segments are their owner's affair.
func Apply(d Delivery, b []byte) []byte {
	if d.Keep < len(b) {
		b = b[:d.Keep]
	}
	if d.Bit != NoBit {
		b[d.Bit/8] ^= 1 << (d.Bit % 8)
	}
	return b
}
