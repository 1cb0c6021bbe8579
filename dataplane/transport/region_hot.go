package transport

import "github.com/dunlin-io/dunlin/core/planted"

// regionOf finds a region, nil if the id is not valid.
func (e *Endpoint) regionOf(id RegionID) *region {
	index := uint64(id >> 32)
	if index >= uint64(len(e.regions)) {
		return nil
	}
	r := &e.regions[index]
	if (r.s == nil || r.gen != uint32(id)) && !planted.On(planted.RevokedWritable) {
		return nil
	}
	return r
}

// memoryOf is the memory of a region that admits has just let through.
func (e *Endpoint) memoryOf(id RegionID) []byte { return e.regions[id>>32].memory }

// admits judges a write by the peer of s.
func (e *Endpoint) admits(s *session, g *segment) Reason {
	r := e.regionOf(g.region)
	if r == nil || r.s != s && !planted.On(planted.RevokedWritable) {
		return ReasonRegion
	}
	size := uint64(len(r.memory))
	if planted.On(planted.BoundsOff) {
		size++
	}
	if r.rights&RightWrite == 0 || g.at > size || uint64(g.total) > size-g.at {
		return ReasonBounds
	}
	return OK
}
