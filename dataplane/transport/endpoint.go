package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TagBytes is what sealing adds to a frame.
const TagBytes = seal.TagBytes

// Errors of calls that could not begin.
var (
	ErrGone     = errors.New("transport: it does not exist, or is over")
	ErrBusy     = errors.New("transport: too much is under way")
	ErrTooLong  = errors.New("transport: longer than a transfer may be")
	ErrLane     = errors.New("transport: no such lane")
	ErrDraining = errors.New("transport: the session accepts no new calls")
	ErrDeadline = errors.New("transport: the deadline has passed, or there is none")
)

// Config describes an endpoint. The zero value of each field but Handshake means its default.
type Config struct {
	Handshake handshake.Config // who we are, whom we trust, and the source of random bytes
	MTU       int              // bytes after the Ethernet header of the largest frame; 0: 1500
	Lanes     int              // of each session, 1 to MaxLanes; 0: 1
	// DeadAfter is how long a peer may leave frames unacknowledged before the session is over.
	// KeepAlive is how long it may be silent before it is asked for a sign of life.
	DeadAfter, KeepAlive core.Time
	// RenewAfter is how old a session that was begun here gets before a fresh handshake makes its
	// successor; EventUp names both. 0: seal.MaxAge.
	RenewAfter core.Time
	// PeerBytes bounds the buffers for what arrives from one peer and is not yet taken, and those
	// for what is not yet acknowledged by it. MemoryBytes bounds each for all peers.
	PeerBytes, MemoryBytes int
	// KeyFrames is how many frames a key may seal; half of that is when the next one is taken.
	// 0: seal.RefuseAfter, which only a simulator has a reason to undercut.
	KeyFrames uint64
	// Outstanding is the most transfers of a lane that are waiting or under way.
	Outstanding int
}

// Endpoint is one runtime's end of all its sessions.
type Endpoint struct {
	hs          *handshake.Machine
	random      io.Reader
	mtu         int
	lanes       int
	deadAfter   core.Time
	keepAlive   core.Time
	renewAfter  core.Time
	peerBytes   int
	laneCredit  uint64
	outstanding int
	keyFrames   uint64

	sessions []*session // by index; none has 0
	freed    []uint32   // indices
	gens     []uint64   // by index: where generations of the next session begin
	ids      uint64     // sessions made so far
	numbers  [maxSessions]*session

	regions    []region
	regionFree []uint32

	timers   timers
	hsTimer  timer
	urgent   lanes
	bulk     lanes
	events   queue[queued]
	given    queued // what NextEvent returned last
	plain    queue[plain]
	in, out  memory[byte]
	words    memory[uint64]
	hints    [hintBuckets]bucket // that are sent
	looks    [hintBuckets]bucket // that are looked at
	counters Counters

	ack     ack // scratch, as are those below
	segment segment
	builder builder
	from    Path
}

// queued is an event that waits for NextEvent, and what is given back after the one that follows.
type queued struct {
	ev   Event
	buf  []byte
	lane *lane
	cost uint64
}

// New makes an endpoint.
func New(c Config) (*Endpoint, error) {
	c = c.withDefaults()
	if c.MTU < minMTU || c.MTU > MaxMTU || c.Lanes < 1 || c.Lanes > MaxLanes {
		return nil, fmt.Errorf("transport: MTU %d, %d lanes: want %d to %d and 1 to %d",
			c.MTU, c.Lanes, minMTU, MaxMTU, MaxLanes)
	}
	if c.PeerBytes < c.Lanes<<minBufferShift || c.Outstanding < 1 ||
		c.Outstanding > maxOutstanding {
		return nil, fmt.Errorf("transport: %d bytes a peer, %d transfers outstanding: want at "+
			"least %d and 1 to %d", c.PeerBytes, c.Outstanding, c.Lanes<<minBufferShift,
			maxOutstanding)
	}
	if min(c.DeadAfter, c.KeepAlive, c.RenewAfter) < 0 {
		return nil, fmt.Errorf("transport: times of %d, %d, %d ns: want none below 0, and 0 for "+
			"the default", c.DeadAfter, c.KeepAlive, c.RenewAfter)
	}
	hs, err := handshake.New(c.Handshake)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	e := &Endpoint{
		hs: hs, random: c.Handshake.Random, mtu: c.MTU, lanes: c.Lanes,
		deadAfter: c.DeadAfter, keepAlive: c.KeepAlive, peerBytes: c.PeerBytes,
		laneCredit: uint64(c.PeerBytes / c.Lanes), outstanding: c.Outstanding,
		keyFrames: c.KeyFrames, renewAfter: c.RenewAfter,
		sessions: make([]*session, 1), gens: make([]uint64, 1),
		bulk:  lanes{bulk: true},
		in:    memory[byte]{least: minBufferShift, width: 1, limit: c.MemoryBytes},
		out:   memory[byte]{least: minBufferShift, width: 1, limit: c.MemoryBytes},
		words: memory[uint64]{least: 2, width: 8, limit: c.MemoryBytes},
	}
	return e, nil
}

func (c Config) withDefaults() Config {
	if c.MTU == 0 {
		c.MTU = defaultMTU
	}
	if c.Lanes == 0 {
		c.Lanes = 1
	}
	if c.DeadAfter == 0 {
		c.DeadAfter = defaultDeadAfter
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = keepAlive
	}
	if c.RenewAfter == 0 {
		c.RenewAfter = seal.MaxAge
	}
	// Whoever wants something never says core.Never, to which no time of day may be added.
	c.DeadAfter, c.KeepAlive = min(c.DeadAfter, longest), min(c.KeepAlive, longest)
	c.RenewAfter = min(c.RenewAfter, longest)
	if c.PeerBytes == 0 {
		c.PeerBytes = max(defaultPeerBytes, c.Lanes*MaxMessageBytes)
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = max(defaultMemoryBytes, 2*c.PeerBytes)
	}
	if c.Outstanding == 0 {
		c.Outstanding = defaultOutstanding
	}
	return c
}

// MaxFrame is the longest frame that NextFrame writes.
func (e *Endpoint) MaxFrame() int { return e.mtu + wire.EthernetBytes }

// NextEvent is the next thing that happened. It and its bytes are valid until the next call.
func (e *Endpoint) NextEvent(now core.Time) (ev *Event, ok bool) {
	e.settle(now)
	if e.events.n == 0 {
		return nil, false
	}
	e.given = e.events.pop()
	return &e.given.ev, true
}

// settle takes back what came with the last event.
func (e *Endpoint) settle(now core.Time) {
	if l := e.given.lane; l != nil {
		l.letGo(e.given.buf)
		l.regrant(now, e.given.cost)
		e.given = queued{}
	}
}

// find is a session that is not over.
func (e *Endpoint) find(id SessionID) *session {
	index := uint64(id) & (maxSessions - 1)
	if index >= uint64(len(e.sessions)) {
		return nil
	}
	s := e.sessions[index]
	if s == nil || s.id != id || s.state > sessionOpen {
		return nil
	}
	return s
}

// session is find with an error.
func (e *Endpoint) session(id SessionID) (*session, error) {
	if s := e.find(id); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("session %#x: %w", uint64(id), ErrGone)
}

// lookup finds a session by its number in frames.
func (e *Endpoint) lookup(number uint32) *session {
	s := e.numbers[number&(maxSessions-1)]
	if s == nil || s.number != number {
		return nil
	}
	return s
}

// Numbered is the session that frames with that number in their headers go to, 0 if there is none.
// Numbers come again, sessions do not: whoever watches frames tells them apart by it.
func (e *Endpoint) Numbered(number uint32) SessionID {
	if s := e.lookup(number); s != nil {
		return s.id
	}
	return 0
}

// Numbers are what frames to this end and to the peer's carry as the session, for who watches both.
func (e *Endpoint) Numbers(id SessionID) (ours, theirs uint32, err error) {
	s, err := e.session(id)
	if err != nil {
		return 0, 0, fmt.Errorf("transport: %w", err)
	}
	return s.number, s.peer, nil
}

// Sessions is how many are open, those included that have a successor, and how many are remembered:
// those as well that come about, or are over and linger.
func (e *Endpoint) Sessions() (open, all int) {
	for _, s := range e.sessions {
		if s != nil && s.state == sessionOpen && s.up {
			open++
		}
	}
	return open, len(e.sessions) - 1 - len(e.freed)
}

// newSession makes a session without keys.
func (e *Endpoint) newSession(p Path, key [32]byte) (*session, error) {
	var index uint32
	switch n := len(e.freed); {
	case n > 0:
		index = e.freed[n-1]
		e.freed = e.freed[:n-1]
	case len(e.sessions) == maxSessions:
		return nil, ErrBusy
	default:
		index = uint32(len(e.sessions))
		e.sessions = append(e.sessions, nil)
		e.gens = append(e.gens, 1)
	}
	e.ids++
	random, err := e.random32()
	if err != nil {
		return nil, err
	}
	s := &session{
		e: e, index: index, id: SessionID(e.ids<<14 | uint64(index)), path: p, key: key,
		number: random&^(maxSessions-1) | index, gens: e.gens[index],
	}
	s.timer.session = s
	s.mtu.set(min(e.mtu, defaultMTU))
	for i := range e.lanes {
		s.lanes = append(s.lanes, newLane(s, uint8(i)))
	}
	e.sessions[index], e.numbers[index] = s, s
	return s, nil
}

// forget frees a session's index and number.
func (e *Endpoint) forget(s *session) {
	e.sessions[s.index] = nil
	e.gens[s.index] = s.gens
	e.freed = append(e.freed, s.index)
	if at := s.number & (maxSessions - 1); e.numbers[at] == s {
		e.numbers[at] = nil
	}
}

// random32 draws a number that is not 0.
func (e *Endpoint) random32() (uint32, error) {
	for {
		var b [4]byte
		if _, err := io.ReadFull(e.random, b[:]); err != nil {
			return 0, fmt.Errorf("the source of random bytes: %w", err)
		}
		if v := binary.BigEndian.Uint32(b[:]); v != 0 {
			return v, nil
		}
	}
}

// moreSlots makes a slot for an outbound transfer.
//
//go:noinline
func (l *lane) moreSlots() *outbound {
	o := &outbound{slot: uint16(len(l.outs)), gen: l.s.gens}
	l.outs = append(l.outs, o)
	return o
}

// spareInbound is a free record of an inbound transfer.
//
//go:noinline
func (l *lane) spareInbound() *inbound {
	if n := len(l.spare); n > 0 {
		in := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return in
	}
	return &inbound{}
}
