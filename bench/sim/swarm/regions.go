package swarm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// regions is all memory that hosts let others write into, with what must be in it.
type regions struct {
	w   *world
	all []region
}

// region is one. shadow has the bytes of all writes that are done; where memory differs from it,
// the bytes must be those of a write that may be there in part, and that no later one has covered.
// When it is closed its sum takes the place of the shadow: most regions of a run are closed ones,
// and to read both at each audit would empty the cache.
type region struct {
	owner   int
	session transport.SessionID // of the owner
	id      transport.RegionID
	size    int
	state   regionState
	memory  []byte
	shadow  []byte
	sum     uint32
	maybe   []uint32 // entries under way, or ended and not done
	done    []uint32 // entries, in the order in which they were done
	closed  core.Time
}

type regionState uint8

const (
	regionOpen   regionState = iota
	regionClosed             // revoked, or its session is over: nothing may change any more
	regionLost               // with its host, or closed long ago: nobody looks any more
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // that CPUs compute

// Bounds of what is kept for the audits.
const (
	maxRegions = 80 // of one run at once (guess: memory)
	maxMaybe   = 32 // writes that may be there in part; then nobody writes there any more
	maxDone    = 64 // writes done that are remembered
	perHost    = 12 // regions that a host has open at once
	// watchFor is how long a closed region is looked at, at least, if there are many: longer than
	// any frame is on its way.
	watchFor = 5 * core.Second
)

// room reports whether there may be another region, and makes some: each session that is renewed
// begins with new ones.
func (rs *regions) room() bool {
	kept, oldest := 0, int32(-1)
	for i := range rs.all {
		if r := &rs.all[i]; r.state != regionLost {
			kept++
			if r.state == regionClosed && (oldest < 0 || r.closed < rs.all[oldest].closed) {
				oldest = int32(i)
			}
		}
	}
	if kept < maxRegions {
		return true
	}
	if oldest < 0 || rs.all[oldest].closed+watchFor > rs.w.loop.Now() {
		return false
	}
	rs.audit(oldest)
	rs.lose(oldest)
	return true
}

// register opens a region for the peer of a session, and tells it.
func (a *app) register(h *host, s *session) {
	rs := &h.w.regions
	if !rs.room() {
		return
	}
	if len(rs.all) > math.MaxInt16 { // an entry could not name it
		return
	}
	size := h.w.s.Work.RegionBytes
	r := region{
		owner: h.index, session: s.id, size: size,
		memory: make([]byte, size), shadow: make([]byte, size),
	}
	id, err := h.endpoint.Register(s.id, r.memory, transport.RightWrite)
	if err != nil {
		return // of a session that leaves
	}
	r.id = id
	number := int32(len(rs.all))
	rs.all = append(rs.all, r)
	a.regions = append(a.regions, number)
	n, o := a.order(h, s, kindOffer, offerBytes)
	err = h.endpoint.Send(h.local(h.busy), o, offerOf(number, id))
	a.opened(h, n, err)
}

// offerBytes is the length of a message that names a region.
const offerBytes = 16

func offerOf(number int32, id transport.RegionID) []byte {
	b := make([]byte, offerBytes)
	binary.LittleEndian.PutUint32(b, uint32(number))
	binary.LittleEndian.PutUint64(b[8:], uint64(id))
	return b
}

// offered takes note of a region of the peer.
func (a *app) offered(h *host, e *transport.Event) {
	s := a.session(e.Session)
	_, n, _, _ := parseHeader(e.Header)
	x := h.w.ledger.get(uint64(n))
	if s == nil || x == nil || x.kind != kindOffer || x.handed != 0 || len(e.Data) != offerBytes {
		h.w.broken(&Failure{
			Invariant: "what is delivered was sent, once",
			Detail:    fmt.Sprintf("host %d got a wrong offer, number %d", h.index, n),
		})
		return
	}
	x.handed++
	number := int32(binary.LittleEndian.Uint32(e.Data))
	id := transport.RegionID(binary.LittleEndian.Uint64(e.Data[8:]))
	if number < 0 || int(number) >= len(h.w.regions.all) || h.w.regions.all[number].id != id {
		h.w.broken(&Failure{
			Invariant: "what is delivered was sent, once",
			Detail: fmt.Sprintf("host %d got an offer of region %d that nobody made", h.index,
				number),
		})
		return
	}
	s.offers = append(s.offers, offer{number, id})
}

// revoke closes one of a host's regions.
func (rs *regions) revoke(h *host, which int) {
	number := h.app.regions[which]
	r := &rs.all[number]
	h.must("Deregister", h.endpoint.Deregister(r.id))
	rs.close(h, which)
}

// close notes that nothing may change in a region any more.
func (rs *regions) close(h *host, which int) {
	number := h.app.regions[which]
	rs.audit(number)
	r := &rs.all[number]
	r.state, r.closed = regionClosed, rs.w.loop.Now()
	r.maybe, r.done, r.shadow = nil, nil, nil
	r.sum = crc32.Checksum(r.memory, castagnoli)
	h.app.regions = append(h.app.regions[:which], h.app.regions[which+1:]...)
}

// sessionOver closes the regions of a session.
func (rs *regions) sessionOver(h *host, s transport.SessionID) {
	for i := len(h.app.regions) - 1; i >= 0; i-- {
		if rs.all[h.app.regions[i]].session == s {
			rs.close(h, i)
		}
	}
}

// lose forgets a region whose host has crashed.
func (rs *regions) lose(number int32) {
	r := &rs.all[number]
	*r = region{state: regionLost, owner: r.owner, id: r.id, size: r.size}
}

// mayWrite reports whether one more write can be kept book of.
func (rs *regions) mayWrite(number int32) bool {
	r := &rs.all[number]
	return r.state == regionLost || len(r.maybe) < maxMaybe
}

// begin notes that a write is under way.
func (rs *regions) begin(number int32, n uint32) {
	if r := &rs.all[number]; r.state == regionOpen {
		r.maybe = append(r.maybe, n)
	}
}

// judge says what is wrong with the outcome of a write, "" if nothing is.
func (rs *regions) judge(n uint32, x *entry) string {
	if x.outcome != transport.Done {
		return ""
	}
	if x.part == partForeign {
		return "nobody writes where he may not"
	}
	r := &rs.all[x.region]
	if r.state != regionOpen {
		return "" // it was done before the region was closed, and the audit has seen it
	}
	for _, m := range r.done {
		if m > n && rs.overlap(m, x) {
			return "writes that overlap are done in the order in which they were issued"
		}
	}
	data := rs.w.bytes.sent(n, x.size)
	if at := rs.differs(r, x, data, n); at >= 0 {
		return fmt.Sprintf("the bytes of a write that is done are in place (first missing: %d)", at)
	}
	copy(r.shadow[x.at:], data)
	rs.w.written += uint64(len(data))
	r.done = append(r.done, n)
	if len(r.done) > maxDone {
		r.done = append(r.done[:0], r.done[1:]...)
	}
	for i, m := range r.maybe {
		if m == n {
			r.maybe = append(r.maybe[:i], r.maybe[i+1:]...)
			break
		}
	}
	return ""
}

// overlap reports whether entry m, a write, and x touch the same bytes.
func (rs *regions) overlap(m uint32, x *entry) bool {
	y := &rs.w.ledger.all[m]
	return y.at < x.at+uint64(x.size) && x.at < y.at+uint64(y.size)
}

// differs is where in the region the bytes of write n are not in place, -1 if they all are. A write
// that was issued later and overlaps may have begun since.
func (rs *regions) differs(r *region, x *entry, data []byte, n uint32) int {
	in := r.memory[x.at : x.at+uint64(x.size)]
	if bytes.Equal(in, data) {
		return -1
	}
	for i := range in {
		at := x.at + uint64(i)
		if in[i] != data[i] && !rs.explained(r, at, in[i], n) {
			return int(at)
		}
	}
	return -1
}

// explained reports whether a byte may be that of a write that is there in part, issued after
// entry n and not covered by one that is done and was issued later still.
func (rs *regions) explained(r *region, at uint64, b byte, n uint32) bool {
	for _, m := range r.maybe {
		y := &rs.w.ledger.all[m]
		if m > n && at >= y.at && at < y.at+uint64(y.size) &&
			rs.w.bytes.sent(m, y.size)[at-y.at] == b {
			return true
		}
	}
	return false
}

// audit compares all of a region with what must be in it.
func (rs *regions) audit(number int32) {
	r := &rs.all[number]
	switch r.state {
	case regionLost:
		return
	case regionClosed:
		if crc32.Checksum(r.memory, castagnoli) != r.sum {
			rs.spoiled(number, "after it was closed")
		}
		return
	}
	if bytes.Equal(r.memory, r.shadow) {
		return
	}
	for i := 0; i < len(r.memory); i++ {
		if i%stride == 0 { // most is as it must be
			end := min(i+stride, len(r.memory))
			if bytes.Equal(r.memory[i:end], r.shadow[i:end]) {
				i = end - 1
				continue
			}
		}
		if r.memory[i] == r.shadow[i] {
			continue
		}
		at := uint64(i)
		if !rs.explained(r, at, r.memory[i], rs.lastDone(r, at)) {
			rs.spoiled(number, fmt.Sprintf("at byte %d", i))
			return
		}
	}
}

// spoiled notes that a region holds what nobody wrote.
func (rs *regions) spoiled(number int32, how string) {
	rs.w.broken(&Failure{
		Invariant: "memory holds what was written and nothing else",
		Detail:    fmt.Sprintf("region %d of host %d, %s", number, rs.all[number].owner, how),
	})
}

// stride is how many bytes of a region are compared at a time.
const stride = 64

// lastDone is the write done last that covers a byte, 0 if none is remembered.
func (rs *regions) lastDone(r *region, at uint64) uint32 {
	for i := len(r.done) - 1; i >= 0; i-- {
		y := &rs.w.ledger.all[r.done[i]]
		if at >= y.at && at < y.at+uint64(y.size) {
			return r.done[i]
		}
	}
	return 0
}
