package transport

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// lane is one sequence of frames each way: everything that its thread touches for a call.
type lane struct {
	e      *Endpoint
	s      *session
	number uint8
	tx     *seal.Sender
	rx     *seal.Receiver

	// Outbound transfers.
	outs     []*outbound
	outFree  []uint16
	nextID   uint64
	outOver  idWindow // which of ours the peer is done with
	small    queue[handle]
	waiting  queue[handle] // bulk, nothing sent yet
	active   queue[handle] // bulk, being sent
	lost     [2]queue[ref] // to send again: small, bulk
	repaired bool          // the last frame of bulk was to send again what was lost
	partial  int           // bulk transfers opened and not over at the peer
	limit    uint64        // credit: what all our transfers together may cost
	used     uint64
	blocked  bool // the first of small or waiting lacks credit
	ends     queue[handle]

	// Inbound transfers.
	inOver   idWindow
	partials []*inbound
	spare    []*inbound
	granted  uint64 // credit that the peer was told of, or will be
	told     uint64 // credit that went out last
	charged  uint64 // what the peer's transfers cost so far
	requests []request
	reqFree  []uint16
	refusals []refusal      // writes of the peer that it has not yet heard are refused
	refused  queue[refusal] // ... to be said now

	// Loss recovery, see loss_hot.go.
	received   received
	flight     flight
	rtt        rtt
	newest     uint64    // counter of the newest frame known to have arrived
	newestAny  bool      // there is one
	newestAt   core.Time // when it was sent
	silence    silence
	lossAt     core.Time // when the next frame counts as lost
	reorder    core.Time // multiple of the reordering window
	reorderEnd uint64    // no further growth until this frame is acknowledged
	calm       int       // rounds with losses and without a spurious one
	lastSent   core.Time // of a frame that must arrive
	lastHold   core.Time // for so long the peer may keep the acknowledgement of that
	unasked    int64     // bytes of bulk since an acknowledgement was asked for
	progress   core.Time // of the last sign that frames arrive, or of the last time-out
	probes     uint      // sent since
	timeouts   uint      // since frames last arrived
	stuck      core.Time // since when nothing of what is out was acknowledged
	expecting  bool      // something is out
	probe      int       // frames that must go as a probe
	probedAt   core.Time // when the last one went
	ping       bool
	callAt     core.Time // no outbound transfer's deadline is before
	creditAt   core.Time // when to probe for credit
	creditGap  core.Time
	askCredit  bool

	congestion congestion

	timer            timer
	nextUrgent       *lane
	nextBulk         *lane
	inUrgent, inBulk bool
	drain, drained   bool // say so; the peer has heard it
	done, doneHeard  bool // the same
	largeLost        int  // large frames lost since one arrived
}

// handle names an outbound transfer.
type handle struct {
	slot uint16
	gen  uint64
}

func newLane(s *session, number uint8) *lane {
	l := &lane{
		e: s.e, s: s, number: number,
		lossAt: core.Never, callAt: core.Never, creditAt: core.Never,
		reorder: 1, creditGap: creditProbeFirst,
	}
	l.received.by = core.Never
	l.timer.lane = l
	l.granted = s.e.laneCredit
	l.told = l.granted
	l.congestion.start(s.mtu.frame)
	return l
}

// outState says where an outbound transfer stands.
type outState uint8

const (
	outFree    outState = iota
	outQueued           // nothing of it was sent
	outSending          // some of it was sent, or all, and not all of it has arrived
	outWaiting          // a call that has arrived; its reply has not
	outEnding           // its outcome is told, and the peer must hear that no more comes
)

// outbound is a transfer to the peer.
type outbound struct {
	slot      uint16
	state     outState
	kind      recordKind
	headerLen uint8
	flags     uint8
	bulk      bool
	owned     bool // buf is of our memory
	held      bool // a write behind another that it overlaps, in no queue
	opened    bool // has an id
	partial   bool // counted in the lane's partial
	listed    bool // in the session's writes
	gen       uint64
	id        uint64
	route     uint64
	token     uint64 // of a reply: the caller's
	replyTo   uint64 // of a reply: the call's id
	tag       uint64
	total     int
	next      int // first byte that was never sent
	left      int // blocks that have not arrived; counted once words is there
	buf       []byte
	words     blocks // which have
	deadline  core.Time
	region    RegionID
	at        uint64
	sentAt    core.Time // first
	carried   uint64    // counter of the newest frame with a part of it
	lane      *lane     // of a write
	before    *outbound // of the session's writes
	after     *outbound
}

// inbound is a transfer of several frames from the peer, under way.
type inbound struct {
	kind      recordKind
	headerLen uint8
	flags     uint8
	id        uint64
	route     uint64
	token     uint64
	region    RegionID
	at        uint64
	total     int
	left      int
	deadline  core.Time
	buf       []byte // nil for a write
	words     blocks
}

// request is a call that was handed to a handler.
type request struct {
	open     bool
	gen      uint64
	id       uint64 // of the call
	token    uint64
	route    uint64
	deadline core.Time
}
