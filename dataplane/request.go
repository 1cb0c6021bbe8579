package dataplane

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// outcome is what a handler has decided so far.
type outcome uint8

const (
	open     outcome = iota // nothing: no reply
	replied                 // Reply
	turned                  // Turn
	declined                // Decline
	taken                   // Take
)

// Request is one received packet and the way to answer it. It is valid, and its slices are, until
// the handler returns; nobody may keep them.
//
//	func(r *dataplane.Request) {                      func(r *dataplane.Request) {
//		if b := r.Reply(len(answer)); b != nil {          r.Turn() // echo
//			copy(b, answer)                           }
//		}
//	}
//
// A handler calls one of Reply, Turn, Decline, Take, or none, which consumes the request in
// silence. Headers and checksums are written for it.
type Request struct {
	worker  *Worker
	now     core.Time
	packet  wire.Packet
	first   []byte  // the first segment, from the Ethernet header
	frames  []Frame // the worker's burst buffer
	parts   int     // leading frames that hold headers or payload
	outcome outcome
	reason  Reason      // of a reply that could not be
	reply   Frame       // if replied
	answer  wire.Packet // what it holds
}

// Now is the time of the turn, not of the packet's arrival.
func (r *Request) Now() core.Time { return r.now }

// Worker is the worker that serves the request, for sending something else than the reply.
func (r *Request) Worker() *Worker { return r.worker }

// Seat is the seat whose thread serves the request, for putting work off with Submit; nil if the
// worker is in no team.
func (r *Request) Seat() *Seat { return r.worker.seat }

// Kind is KindRaw, KindUDP4 or KindUDP6.
func (r *Request) Kind() wire.Kind { return r.packet.Kind }

// EtherType is the packet's.
func (r *Request) EtherType() wire.EtherType { return r.packet.EtherType }

// SourceMAC is the Ethernet address that the packet came from: the sender's, or its router's.
func (r *Request) SourceMAC() wire.MAC { return wire.Ethernet(r.first).Src() }

// DestinationMAC is the Ethernet address that the packet came to.
func (r *Request) DestinationMAC() wire.MAC { return wire.Ethernet(r.first).Dst() }

// Flow is the packet's addresses; of a raw packet only the Ethernet ones.
func (r *Request) Flow() wire.UDPFlow {
	if r.packet.Kind == wire.KindRaw {
		return wire.UDPFlow{SrcMAC: r.SourceMAC(), DstMAC: r.DestinationMAC()}
	}
	return wire.FlowOf(r.first, r.packet)
}

// Source is the UDP address that the packet came from; the zero one if it is raw.
func (r *Request) Source() wire.UDPAddr { return r.Flow().Src }

// Destination is the UDP address that the packet came to; the zero one if it is raw.
func (r *Request) Destination() wire.UDPAddr { return r.Flow().Dst }

//go:noinline
func panicAnswered(o outcome) {
	what := "replied to"
	switch o {
	case turned:
		what = "turned around"
	case declined:
		what = "declined"
	case taken:
		what = "taken"
	}
	panic("dataplane: second answer to a request that was " + what + " already")
}

//go:noinline
func panicTrim(n, length int, replied bool) {
	if !replied {
		panic("dataplane: Trim without a Reply")
	}
	panic(fmt.Sprintf("dataplane: Trim to %d bytes of a reply of %d", n, length))
}
