package transport

import "github.com/dunlin-io/dunlin/dataplane/transport/handshake"

// Counters are what an endpoint did since it was made. Dropped counts frames, and parts of
// authentic frames, by reason.
type Counters struct {
	Frames       uint64 // authentic frames taken
	Sent         uint64 // frames written
	Handshakes   uint64 // messages of handshakes taken
	Lost         uint64 // frames taken as lost
	Resent       uint64 // segments sent again
	Probes       uint64 // tail-loss probes
	Repairs      uint64 // acknowledgements that a probe has brought, before any time-out
	Timeouts     uint64 // retransmission time-outs
	Spurious     uint64 // frames that had counted as lost and were not
	Undone       uint64 // windows restored because of that
	Late         uint64 // segments of transfers that were over: not applied
	Repeated     uint64 // segments that were there already
	CreditProbes uint64
	BlackHoles   uint64 // paths that were found to carry less than before
	Rekeys       uint64
	Renewals     uint64 // handshakes begun to renew a session
	// RenewalsRepeated is those of them that came about and had to begin anew before.
	RenewalsRepeated uint64
	OldKeys          uint64 // authentic frames that came after those of a newer key
	Dead             uint64 // peers that did not answer
	HintsSent        uint64
	HintsTaken       uint64
	Dropped          [ReasonCount]uint64
}

// HandshakeCount is how many messages or attempts of handshakes ended for that reason.
func (e *Endpoint) HandshakeCount(r handshake.Reason) uint64 { return e.hs.Count(r) }

// Counters returns a copy of the counts.
func (e *Endpoint) Counters() Counters { return e.counters }
