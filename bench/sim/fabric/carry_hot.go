package fabric

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/core/invariant"
)

// Send puts a frame on the way at that time, which is not past and not before that of an earlier
// call for the same host. The bytes stay the caller's.
func (n *Network) Send(now core.Time, from, to int, b []byte) {
	n.counts.Sent++
	invariant.Check(len(b) > 0 && len(b) <= MaxFrame, "a frame of that length cannot be sent",
		uint64(len(b)), MaxFrame)
	h := &n.hosts[from]
	sent, ok := h.out.serialise(now, &h.outFree, len(b))
	if !ok {
		n.counts.OutFull++
		return
	}
	p := n.paths[from*len(n.hosts)+to]
	if p == nil {
		p = n.path(from, to)
	}
	if p.mtu != 0 && len(b) > p.mtu {
		n.counts.TooLong++
		return
	}
	n.counts.Judged++
	if p.model == nil {
		f := n.frames.take(b)
		n.fly(flight{frame: f, from: uint16(from), to: uint16(to), bit: fault.NoBit}, sent)
		n.frames.release(f)
		return
	}
	n.judge(p, from, to, b, sent)
}

// judge lets the path's model decide what is delivered, and when.
func (n *Network) judge(p *path, from, to int, b []byte, sent core.Time) {
	v := p.model.Judge(sent, len(b))
	if v.Lost() && len(p.history) == 0 {
		return
	}
	f := n.frames.take(b)
	for _, d := range v.Deliveries() {
		x := flight{frame: f, from: uint16(from), to: uint16(to), bit: int32(d.Bit)}
		if d.Back != 0 {
			if x.frame = p.remembered(d.Back); x.frame == noFrame {
				n.counts.Forgotten++
				continue
			}
		}
		if d.Keep != fault.KeepAll {
			if d.Keep == 0 {
				n.counts.Empty++
				continue
			}
			x.keep = uint16(d.Keep)
		}
		n.fly(x, d.At)
	}
	if len(p.history) != 0 {
		n.remember(p, f)
	}
	n.frames.release(f)
}

// remembered is the frame offered that many calls before the one at hand.
func (p *path) remembered(back int) int32 {
	if back >= len(p.history) || uint64(back) > p.offered {
		return noFrame
	}
	return p.history[(p.offered-uint64(back))%uint64(len(p.history))]
}

func (n *Network) remember(p *path, f int32) {
	at := &p.history[p.offered%uint64(len(p.history))]
	if *at != noFrame {
		n.frames.release(*at)
	}
	n.frames.share(f)
	*at = f
	p.offered++
}

// fly lets a delivery happen. It goes by the switch's queue if that has a rate.
func (n *Network) fly(x flight, at core.Time) {
	n.frames.share(x.frame)
	kind := uint32(reaches)
	if n.hosts[x.to].in.Rate != 0 {
		kind = arrives
	}
	n.loop.Post(at, n.id, kind, uint64(n.flying.add(x)))
}

// Handle implements sim.Component.
func (n *Network) Handle(now core.Time, e sim.Event) {
	if e.Kind == steps {
		if e.Arg < uint64(len(n.steps)) {
			n.take(n.steps[e.Arg])
		}
		return
	}
	i := int32(e.Arg)
	x := n.flying.all[i]
	h := &n.hosts[x.to]
	if e.Kind == arrives {
		at, ok := h.in.serialise(now, &h.inFree, int(n.length(x)))
		if ok {
			n.loop.Post(at, n.id, reaches, e.Arg)
			return
		}
		n.counts.InFull++
		n.flying.remove(i)
		n.frames.release(x.frame)
		return
	}
	n.flying.remove(i)
	b := n.frames.bytes(x.frame)[:n.length(x)]
	n.counts.Delivered++
	n.counts.Bytes += uint64(len(b))
	// The end of a frame is its tag, which depends on all of its bytes: a digest for nothing.
	n.loop.Mix(digest(b))
	if n.frames.shared(x.frame) {
		b = n.frames.scratch[:copy(n.frames.scratch[:], b)]
	}
	if x.bit != fault.NoBit {
		b[x.bit/8] ^= 1 << (x.bit % 8)
	}
	h.to.Receive(now, int(x.from), b)
	n.frames.release(x.frame)
}

// length is how many bytes of a frame are delivered.
func (n *Network) length(x flight) uint16 {
	if x.keep != 0 {
		return x.keep
	}
	return n.frames.all[x.frame].length
}

// serialise is when a frame that comes now has left a port, whose earlier frames have left it at
// free; false if its queue is full.
func (p *Port) serialise(now core.Time, free *core.Time, length int) (core.Time, bool) {
	if p.Rate == 0 {
		return now, true
	}
	start := max(now, *free)
	if p.Queue != 0 && int64(start-now) > p.Queue*bitsAByte*billion/p.Rate {
		return 0, false
	}
	*free = start + core.Time(int64(length+preamble)*bitsAByte*billion/p.Rate)
	return *free, true
}

// digest is of a frame's length and its last bytes.
func digest(b []byte) uint64 {
	h := uint64(len(b))
	if len(b) >= 8 {
		return h<<48 ^ binary.LittleEndian.Uint64(b[len(b)-8:])
	}
	for _, c := range b {
		h = h<<8 ^ uint64(c)
	}
	return h
}
