package transport

import (
	"io"

	"github.com/dunlin-io/dunlin/core"
)

// Config describes an endpoint. The zero value of each optional field means its default.
type Config struct {
	Random io.Reader // of session numbers and keys; required
	MTU    int       // bytes after the Ethernet header of the largest frame; 0: 1500
	Lanes  int       // of each session, 1 to MaxLanes; 0: 1
	// DeadAfter is how long a peer may leave frames unacknowledged before the session is over.
	DeadAfter core.Time
	// MemoryBytes bounds what arrives and is not yet delivered, of all sessions; PeerBytes of one.
	MemoryBytes, PeerBytes int
}

// Endpoint is one runtime's end of all its sessions.
type Endpoint struct{}

// New makes an endpoint.
func New(c Config) (*Endpoint, error) { panic("skeleton") }

// HandleFrame takes a frame as the link delivered it, from its Ethernet header on. It decrypts in
// place and keeps no reference. OK says that something in it was taken; else it was counted.
func (e *Endpoint) HandleFrame(now core.Time, frame []byte) Reason { panic("skeleton") }

// HandlePacket is HandleFrame for whoever has parsed the packet: payload is what follows the
// Ethernet or UDP header, from is the way back.
func (e *Endpoint) HandlePacket(now core.Time, from *Path, payload []byte) Reason {
	panic("skeleton")
}

// HandleTimeout does what is due. Call it when now >= Deadline(); calling it more often is harmless.
func (e *Endpoint) HandleTimeout(now core.Time) { panic("skeleton") }

// NextFrame writes the next frame to send, from its Ethernet header on, and returns its length; 0
// means that there is none now. dst must have room for MaxFrame bytes.
func (e *Endpoint) NextFrame(now core.Time, dst []byte) (n int) { panic("skeleton") }

// MaxFrame is the longest frame that NextFrame writes.
func (e *Endpoint) MaxFrame() int { panic("skeleton") }

// NextEvent is the next thing that happened. See Event for how long its bytes live.
func (e *Endpoint) NextEvent() (ev Event, ok bool) { panic("skeleton") }

// Deadline is when HandleTimeout or NextFrame has something to do if nothing arrives: now or
// earlier means at once, core.Never that only input can wake it. It is pure.
func (e *Endpoint) Deadline() core.Time { panic("skeleton") }

// Peer is whom to connect to.
type Peer struct {
	Path Path
	Key  [32]byte // its static X25519 key
}

// Connect begins a session. EventUp or EventDown follows; calls may be made at once and wait.
func (e *Endpoint) Connect(now core.Time, p Peer) (SessionID, error) { panic("skeleton") }

// Order is what Call, Send and Write have in common.
type Order struct {
	Session  SessionID
	Lane     uint8
	Route    uint64    // proclet or service at the peer, in the clear in the frame's header
	Deadline core.Time // when the outcome is due at the latest; required, but for Send
	Tag      uint64    // comes back in the event
	Header   []byte    // opaque, for the layer above; at most MaxHeaderBytes
}

// Call sends a request of at most MaxMessageBytes. EventReply ends it, at the latest at its
// deadline. The error is for what cannot begin; no event follows then.
func (e *Endpoint) Call(now core.Time, o Order, data []byte) (CallID, error) { panic("skeleton") }

// Send sends a one-way message; EventSent ends it.
func (e *Endpoint) Send(now core.Time, o Order, data []byte) error { panic("skeleton") }

// Target is where a remote write goes.
type Target struct {
	Region RegionID // as the peer's Register gave it
	Offset uint64
	// Stable promises that the bytes do not change before EventWritten: they are not copied.
	Stable bool
}

// Write puts data into a region of the peer. EventWritten ends it. Writes of a session that overlap
// are applied in the order in which they were issued.
func (e *Endpoint) Write(now core.Time, o Order, t Target, data []byte) (WriteID, error) {
	panic("skeleton")
}

// Reply answers a request. A request that is gone gets ErrGone.
func (e *Endpoint) Reply(now core.Time, r RequestID, header, data []byte) error { panic("skeleton") }

// Refuse ends a request without having acted on it: the caller gets Failed.
func (e *Endpoint) Refuse(now core.Time, r RequestID) error { panic("skeleton") }

// Cancel gives up on a call, CancelWrite on a write. The event says what is known.
func (e *Endpoint) Cancel(now core.Time, c CallID) error       { panic("skeleton") }
func (e *Endpoint) CancelWrite(now core.Time, w WriteID) error { panic("skeleton") }

// Register lets the peer of one session write into memory. Deregister revokes that at once.
func (e *Endpoint) Register(s SessionID, memory []byte) (RegionID, error) { panic("skeleton") }
func (e *Endpoint) Deregister(r RegionID) error                           { panic("skeleton") }

// Drain accepts no new calls in either direction and ends the session when the last one has.
// Close ends it at once.
func (e *Endpoint) Drain(now core.Time, s SessionID) error { panic("skeleton") }
func (e *Endpoint) Close(now core.Time, s SessionID) error { panic("skeleton") }
