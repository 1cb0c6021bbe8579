package swarm

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// kind is what an entry is about.
type kind uint8

const (
	kindCall kind = iota
	kindMessage
	kindWrite
	kindOffer // a message that names a region, or many bytes of what follows would say nothing
)

func (k kind) String() string { return [...]string{"call", "message", "write", "offer"}[k] }

// answer is what the handler of a call did.
type answer uint8

const (
	answerNone answer = iota
	answerReplied
	answerRefused
)

// part is what an entry has to show, beside what it is for.
type part uint8

const (
	partNone    part = iota
	partProbe        // of the second phase: it must succeed
	partForeign      // a write that must not touch anything
)

// entry is one call, message or write: what was asked, what the other side saw of it, and how it
// ended. It is never forgotten within a run, so that what comes late is recognised. There are tens
// of thousands, so each is one line of the cache.
type entry struct {
	at       uint64 // in the region
	route    uint64
	session  transport.SessionID
	handle   uint64    // a CallID or WriteID
	deadline core.Time // on the clock of who asked
	size     uint32
	reply    uint32 // bytes
	place    uint16 // in the list of what its host has under way
	region   int16  // -1: none
	life     uint8  // of the host that asked, modulo 256
	kind     kind
	ended    bool
	canceled bool
	part     part
	outcome  transport.Outcome
	cause    transport.Cause
	answer   answer
	handed   uint8 // to a handler, so many times
	lane     uint8
	from, to uint8
}

// noOutcome is that of an entry whose host has crashed.
const noOutcome transport.Outcome = 255

// ledger is all entries of a run. An entry's number is its identity on the wire.
type ledger struct {
	all  []entry
	last core.Time // latest deadline, in world time
}

// reset is an empty ledger in the memory of this one.
func (l *ledger) reset() ledger { return ledger{all: l.all[:0]} }

// add books an entry whose deadline is at that time of the world.
func (l *ledger) add(e entry, deadline core.Time) uint32 {
	l.all = append(l.all, e)
	l.last = max(l.last, deadline)
	return uint32(len(l.all) - 1)
}

// get is the entry of that number, nil if there is none.
func (l *ledger) get(n uint64) *entry {
	if n >= uint64(len(l.all)) {
		return nil
	}
	return &l.all[n]
}

// describe is an entry for a failure's text.
func (l *ledger) describe(n uint32) string {
	e := &l.all[n]
	return fmt.Sprintf("%v %d of %d bytes from host %d (life %d) to host %d, session %d lane %d: "+
		"handed %d times, answer %d, ended %t with outcome %d cause %d, deadline %d",
		e.kind, n, e.size, e.from, e.life, e.to, e.session, e.lane, e.handed, e.answer, e.ended,
		e.outcome, e.cause, e.deadline)
}

// lookahead is how far beyond its number an entry's bytes may begin.
const lookahead = 32 << 10

// payload is where all bytes that travel come from: what entry n sends and what is replied to it
// are parts of it, so that checking them is one comparison.
type payload struct{ b []byte }

// newPayload fills it from a generator of its own: the same for all seeds.
func newPayload(most int) payload {
	p := payload{b: make([]byte, most+2*lookahead)}
	x := uint64(0x9e3779b97f4a7c15)
	for i := range p.b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p.b[i] = byte(x >> 24)
	}
	return p
}

// sent is the bytes that entry n sends.
func (p *payload) sent(n uint32, size uint32) []byte {
	from := n * 61 % lookahead
	return p.b[from : from+size : from+size]
}

// replied is the bytes that are replied to entry n.
func (p *payload) replied(n uint32, size uint32) []byte {
	from := lookahead + n*67%lookahead
	return p.b[from : from+size : from+size]
}

// headerBytes is the length of the opaque header that everything carries: kind, number, sizes.
const headerBytes = 16

func putHeader(b *[headerBytes]byte, k kind, n, size uint32) []byte {
	*b = [headerBytes]byte{0: 'd', 1: byte(k)}
	binary.LittleEndian.PutUint32(b[4:], n)
	binary.LittleEndian.PutUint32(b[8:], size)
	binary.LittleEndian.PutUint32(b[12:], ^n)
	return b[:]
}

// parseHeader reads what putHeader wrote; false if it is not that.
func parseHeader(b []byte) (k kind, n, size uint32, ok bool) {
	if len(b) != headerBytes || b[0] != 'd' || b[2] != 0 || b[3] != 0 {
		return 0, 0, 0, false
	}
	n = binary.LittleEndian.Uint32(b[4:])
	size, ok = binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]) == ^n
	return kind(b[1]), n, size, ok
}
