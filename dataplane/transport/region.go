package transport

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core/planted"
)

// Rights say what the peer may do with a region.
type Rights uint8

// RightWrite lets the peer write.
const RightWrite Rights = 1

// region is memory that the peer of one session may reach.
type region struct {
	gen    uint32
	rights Rights
	s      *session // nil: free
	memory []byte
}

// Register lets the peer of one session reach memory, which stays the caller's and must not move.
// The id is a capability: it goes to the peer in a message of the layer above, and means nothing in
// another session or after Deregister.
func (e *Endpoint) Register(id SessionID, memory []byte, rights Rights) (RegionID, error) {
	s, err := e.session(id)
	if err != nil {
		return 0, fmt.Errorf("transport: register a region: %w", err)
	}
	var index uint32
	switch n := len(e.regionFree); {
	case n > 0:
		index = e.regionFree[n-1]
		e.regionFree = e.regionFree[:n-1]
	case len(e.regions) == maxRegions:
		return 0, fmt.Errorf("transport: %d regions, the most: %w", maxRegions, ErrBusy)
	default:
		gen, err := e.random32()
		if err != nil {
			return 0, fmt.Errorf("transport: register a region: %w", err)
		}
		index = uint32(len(e.regions))
		e.regions = append(e.regions, region{gen: gen})
	}
	r := &e.regions[index]
	r.s, r.memory, r.rights = s, memory, rights
	return RegionID(index)<<32 | RegionID(r.gen), nil
}

// Deregister revokes a region at once: when it returns, nothing will be written there any more.
// Writes under way fail.
func (e *Endpoint) Deregister(id RegionID) error {
	r := e.regionOf(id)
	if r == nil {
		return fmt.Errorf("transport: deregister region %#x: %w", uint64(id), ErrGone)
	}
	e.freeRegion(uint32(id >> 32))
	return nil
}

func (e *Endpoint) freeRegion(index uint32) {
	r := &e.regions[index]
	if planted.On(planted.RevokedWritable) {
		return // and what came before it stays in place
	}
	*r = region{gen: r.gen + 1}
	if r.gen == 0 {
		r.gen = 1 // index 0 of generation 0 would be "none"
	}
	e.regionFree = append(e.regionFree, index)
}

// dropRegions revokes what the peer of a session was given.
func (e *Endpoint) dropRegions(s *session) {
	for i := range e.regions {
		if e.regions[i].s == s {
			e.freeRegion(uint32(i))
		}
	}
}
